import { type Kysely, sql } from 'kysely';

/**
 * Nights that read what changed: fingerprints of what was read, a snapshot that is kept up to date in place, and the
 * exact sums by user and movie that features are made of.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createBatches(db);
  await createImages(db);
  await createTotals(db);
}

async function createBatches(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('bronze.batches')
    .addColumn('_batch_id', 'integer', (c) => c.primaryKey())
    .addColumn('follows', 'integer')
    .addColumn('ratings', 'bigint', (c) => c.notNull())
    .addColumn('movies', 'integer', (c) => c.notNull())
    .addColumn('changed_users', 'integer')
    .execute();
  await db.schema
    .createTable('bronze.fingerprints')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'bigint', (c) => c.notNull())
    .addColumn('ratings', 'bigint', (c) => c.notNull())
    .addColumn('checksum', 'bigint', (c) => c.notNull())
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();
  await db.schema
    .createTable('bronze.changed_users')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('changed_users_key', ['_batch_id', 'user_id'])
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();
}

/** A snapshot says which image it is in: an image is built in full by one run, and later ones bring it up to date. */
async function createImages(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('silver.snapshots')
    .addColumn('image', 'integer')
    .addColumn('rules', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await sql`update silver.snapshots set image = run`.execute(db);
  await db.schema
    .alterTable('silver.snapshots')
    .alterColumn('image', (c) => c.setNotNull())
    .execute();
  await db.schema
    .alterTable('silver.snapshots')
    .alterColumn('rules', (c) => c.dropDefault())
    .execute();

  // One index of the pairs on each part of an image: without the image's number in it, it is a third smaller.
  await db.schema.alterTable('silver.ratings').dropConstraint('silver_ratings_key').execute();
  await db.schema.alterTable('silver.ratings').renameColumn('run', 'image').execute();
  const { rows } = await sql<{ partition: string }>`
    select inhrelid::regclass::text as partition from pg_inherits
    where inhparent = 'silver.ratings'::regclass`.execute(db);
  for (const { partition } of rows) {
    await sql`create unique index on ${sql.table(partition)} (user_id, movie_id)`.execute(db);
  }

  await db.schema
    .createTable('silver.superseded_ratings')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'integer', (c) => c.notNull())
    .addColumn('movie_id', 'integer', (c) => c.notNull())
    .addColumn('rating', 'real', (c) => c.notNull())
    .addColumn('rating_timestamp', 'timestamptz', (c) => c.notNull())
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();
}

/** Whole half-stars, so that sums are exact in whatever order they are added up. */
async function createTotals(db: Kysely<unknown>): Promise<void> {
  for (const [name, key] of [
    ['user_totals', 'user_id'],
    ['movie_totals', 'movie_id'],
  ] as const) {
    await db.schema
      .createTable(`gold.${name}`)
      .addColumn('run', 'integer', (c) => c.notNull())
      .addColumn(key, 'integer', (c) => c.notNull())
      .addColumn('ratings', 'integer', (c) => c.notNull())
      .addColumn('half_stars', 'bigint', (c) => c.notNull())
      .addColumn('half_stars_squared', 'bigint', (c) => c.notNull())
      .addColumn('positive', 'integer', (c) => c.notNull())
      .addColumn('negative', 'integer', (c) => c.notNull())
      .addColumn('first_at', 'timestamptz', (c) => c.notNull())
      .addColumn('last_at', 'timestamptz', (c) => c.notNull())
      .addPrimaryKeyConstraint(`${name}_key`, ['run', key])
      .modifyEnd(sql`partition by list (run)`)
      .execute();
  }
}

import { type Kysely, sql } from 'kysely';

/** Bronze, silver and gold. The source is not ours: only the loader makes one, see `database/source.ts`. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const schema of ['bronze', 'silver', 'gold']) {
    await db.schema.createSchema(schema).ifNotExists().execute();
  }

  await db.schema
    .createTable('bronze.ratings')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('_ingested_at', 'timestamptz', (c) => c.notNull())
    .addColumn('user_id', 'bigint')
    .addColumn('movie_id', 'bigint')
    .addColumn('rating', 'double precision')
    .addColumn('rating_timestamp', 'timestamptz')
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();
  await db.schema
    .createTable('bronze.movies')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('_ingested_at', 'timestamptz', (c) => c.notNull())
    .addColumn('movie_id', 'bigint')
    .addColumn('title', 'text')
    .addColumn('genres', 'text')
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();

  await db.schema
    .createTable('silver.movies')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('movie_id', 'integer', (c) => c.notNull())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('genres', 'text', (c) => c.notNull())
    .addColumn('genre_list', sql`text[]`, (c) => c.notNull())
    .addColumn('primary_genre', 'text', (c) => c.notNull())
    .addColumn('num_genres', 'integer', (c) => c.notNull())
    .addColumn('year', 'integer')
    .addPrimaryKeyConstraint('silver_movies_key', ['run', 'movie_id'])
    .modifyEnd(sql`partition by list (run)`)
    .execute();
  await db.schema
    .createTable('silver.ratings')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'integer', (c) => c.notNull())
    .addColumn('movie_id', 'integer', (c) => c.notNull())
    .addColumn('rating', 'real', (c) => c.notNull())
    .addColumn('rating_timestamp', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('silver_ratings_key', ['run', 'user_id', 'movie_id'])
    .addCheckConstraint(
      'silver_ratings_domain',
      sql`rating >= 0.5 and rating <= 5.0 and rating * 2 = trunc(rating * 2)`,
    )
    .modifyEnd(sql`partition by list (run)`)
    .execute();
  await db.schema
    .createTable('silver.rejected_ratings')
    .addColumn('_batch_id', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'bigint')
    .addColumn('movie_id', 'bigint')
    .addColumn('rating', 'double precision')
    .addColumn('rating_timestamp', 'timestamptz')
    .addColumn('reason', 'text', (c) => c.notNull())
    .modifyEnd(sql`partition by list (_batch_id)`)
    .execute();
  await db.schema
    .createTable('silver.snapshots')
    .addColumn('run', 'integer', (c) => c.primaryKey())
    .addColumn('as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('bronze_ratings', 'bigint', (c) => c.notNull())
    .addColumn('silver_ratings', 'bigint', (c) => c.notNull())
    .addColumn('rejected_ratings', 'bigint', (c) => c.notNull())
    .addColumn('after_as_of', 'bigint', (c) => c.notNull())
    .addColumn('superseded_ratings', 'bigint', (c) => c.notNull())
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('rated_movies', 'integer', (c) => c.notNull())
    .addColumn('movies', 'integer', (c) => c.notNull())
    .addColumn('newest_rating_at', 'timestamptz')
    .execute();
  await db.schema
    .createTable('gold.splits')
    .addColumn('run', 'integer', (c) => c.primaryKey())
    .addColumn('seed', 'integer', (c) => c.notNull())
    .addColumn('ratings', 'integer', (c) => c.notNull())
    .addColumn('train', 'integer', (c) => c.notNull())
    .addColumn('holdout', 'integer', (c) => c.notNull())
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('movies', 'integer', (c) => c.notNull())
    .addColumn('train_checksum', 'text', (c) => c.notNull())
    .addColumn('holdout_checksum', 'text', (c) => c.notNull())
    .execute();
}

import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { Db } from './connect.ts';

/** Columns of the source's ratings, as the loader makes and sends them. */
export const RATING_COLUMNS = {
  user_id: 'integer',
  movie_id: 'integer',
  rating: 'real',
  rating_timestamp: 'timestamp without time zone',
} as const;

/**
 * Creates the source's tables where there are none, and the table of the loader's marks. Called by the loader
 * only: the pipeline itself never writes to a source. No keys: a source may hold anything.
 */
export async function createSource(db: Db): Promise<void> {
  const { schema } = untyped(db);
  await schema.createSchema('movielens').ifNotExists().execute();
  await addRatingColumns(schema.createTable('movielens.ratings').ifNotExists()).execute();
  await schema
    .createTable('movielens.movies')
    .ifNotExists()
    .addColumn('movie_id', 'integer')
    .addColumn('title', 'text')
    .addColumn('genres', 'text')
    .execute();
  await schema
    .createTable('movielens.loads')
    .ifNotExists()
    .addColumn('loaded_at', 'timestamptz', (c) => c.notNull().defaultTo(db.fn('now')))
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('ratings', 'bigint', (c) => c.notNull())
    .addColumn('movies', 'bigint', (c) => c.notNull())
    .execute();
}

/** Whether the source's ratings are a plain table with the loader's own types, which a binary COPY takes for granted. */
export async function hasOwnRatingTypes(db: Db): Promise<boolean> {
  const { rows } = await sql<{ name: string; type: string }>`
    select attname as name, format_type(atttypid, null) as type
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where attrelid = 'movielens.ratings'::regclass and relkind = 'r' and attnum > 0`.execute(db);
  return Object.entries(RATING_COLUMNS).every(([name, type]) =>
    rows.some((column) => column.name === name && column.type === type),
  );
}

/** Creates a table of the loader's own types that is gone with the transaction. */
export async function createRatingStaging(db: Db, table: string): Promise<void> {
  await addRatingColumns(untyped(db).schema.createTable(table).temporary().onCommit('drop')).execute();
}

function addRatingColumns(table: CreateTableBuilder<string>): CreateTableBuilder<string> {
  return Object.entries(RATING_COLUMNS).reduce(
    (builder, [name, type]) => builder.addColumn(name, sql.raw(type)),
    table,
  );
}

/** Tables that are made here are not all in the typed picture. */
function untyped(db: Db): Kysely<unknown> {
  return db as unknown as Kysely<unknown>;
}

import type { Kysely } from 'kysely';
import type { Db } from './connect.ts';

/**
 * Creates the source's tables where there are none, and the table of the loader's marks. Called by the loader
 * only: the pipeline itself never writes to a source. No keys: a source may hold anything.
 */
export async function createSource(db: Db): Promise<void> {
  const schema = (db as unknown as Kysely<unknown>).schema;
  await schema.createSchema('movielens').ifNotExists().execute();
  await schema
    .createTable('movielens.ratings')
    .ifNotExists()
    .addColumn('user_id', 'integer')
    .addColumn('movie_id', 'integer')
    .addColumn('rating', 'real')
    .addColumn('rating_timestamp', 'timestamp')
    .execute();
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

import type { Kysely } from 'kysely';

/** A batch of the whole source is put together from tables, one a chunk, which this tells apart; of anything else it is 0. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('bronze.ratings')
    .addColumn('_chunk', 'smallint', (c) => c.notNull().defaultTo(0))
    .execute();
}

import type { Kysely } from 'kysely';

/** What the bronze gate has found of each row, so that silver need not ask again. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('bronze.batches').addColumn('all_accepted', 'boolean').execute();
}

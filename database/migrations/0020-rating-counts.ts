import type { Kysely } from 'kysely';

/** How many ratings of each value a snapshot has, so that the next night's need not be counted again. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('silver.snapshots').addColumn('rating_counts', 'jsonb').execute();
}

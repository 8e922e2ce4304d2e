import { type Kysely, sql } from 'kysely';

/** Where the refit of a configuration goes on: its twin some iterations before the end, 32-bit numbers in the machine's order. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('experiments.refit_starts')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('configuration', 'text', (c) => c.notNull())
    .addColumn('iteration', 'integer', (c) => c.notNull())
    .addColumn('width', 'integer', (c) => c.notNull())
    .addColumn('item_ids', 'bytea', (c) => c.notNull())
    .addColumn('item_factors', 'bytea', (c) => c.notNull())
    .addPrimaryKeyConstraint('refit_starts_key', ['run', 'configuration'])
    .execute();
  // Factors are bits that do not compress: to try takes longer than to write them.
  await sql`
    alter table experiments.refit_starts alter item_ids set storage external, alter item_factors set storage external`.execute(
    db,
  );
  await db.schema
    .alterTable('pipeline.checkpoints')
    .addColumn('done_before', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await sql`alter table pipeline.checkpoints alter factors set storage external`.execute(db);
}

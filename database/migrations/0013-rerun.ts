import { type Kysely, sql } from 'kysely';

/** Runs that are re-opened: since when one is live, what it had come to before, and a decision for each time. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('pipeline.runs')
    .addColumn('live_since', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .execute();
  await sql`update pipeline.runs set live_since = started_at`.execute(db);
  await db.schema
    .createTable('pipeline.reopenings')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('reopening', 'integer', (c) => c.notNull())
    .addColumn('from_stage', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('reopened_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`clock_timestamp()`))
    .addColumn('workflow_id', 'text', (c) => c.notNull())
    .addColumn('code_version', 'text', (c) => c.notNull())
    .addColumn('outcome', 'jsonb', (c) => c.notNull())
    .addPrimaryKeyConstraint('reopenings_key', ['run', 'reopening'])
    .execute();
  await db.schema
    .alterTable('models.promotions')
    .addColumn('reopening', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.withSchema('models').dropIndex('promotions_one_per_night').execute();
  await db.schema
    .createIndex('promotions_one_per_night')
    .unique()
    .on('models.promotions')
    .columns(['run', 'reopening'])
    .where(sql.ref('decision'), '<>', 'rollback')
    .execute();
}

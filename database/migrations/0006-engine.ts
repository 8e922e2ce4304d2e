import type { Kysely } from 'kysely';

/**
 * Checkpoints in parts, so that a long iteration can be saved in its middle and only what is new is written; novelty of
 * a twin's lists; the mean that a served model's biases are relative to.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('pipeline.checkpoints').execute();
  await db.schema
    .createTable('pipeline.checkpoints')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('stage', 'text', (c) => c.notNull())
    .addColumn('half_step', 'integer', (c) => c.notNull())
    .addColumn('first_row', 'integer', (c) => c.notNull())
    .addColumn('factors', 'bytea', (c) => c.notNull())
    .addColumn('objective', 'double precision')
    .addPrimaryKeyConstraint('checkpoints_key', ['run', 'stage', 'half_step', 'first_row'])
    .addForeignKeyConstraint('checkpoints_stage', ['run', 'stage'], 'pipeline.stages', ['run', 'stage'])
    .execute();
  await db.schema
    .alterTable('experiments.evaluations')
    .addColumn('popularity_at_10', 'double precision')
    .execute();
  await db.schema.alterTable('models.metadata').addColumn('global_mean', 'double precision').execute();
}

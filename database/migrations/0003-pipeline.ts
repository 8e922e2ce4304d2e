import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

type Table = CreateTableBuilder<string, string>;

/** Metrics of an evaluation twin, as in `MetricColumns`. */
function addRankingMetrics(table: Table): Table {
  for (const metric of ['precision_at_10', 'recall_at_10', 'ndcg_at_10', 'map_at_10', 'coverage']) {
    table = table.addColumn(metric, 'double precision', (c) => c.notNull());
  }
  return table;
}

/** Run ledger, run log, alerts, quality, experiments and models. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const schema of [
    'pipeline',
    'quality',
    'experiments',
    'models',
    'features',
    'recommendations',
    'serving',
  ]) {
    await db.schema.createSchema(schema).ifNotExists().execute();
  }
  await createLedger(db);
  await createQuality(db);
  await createExperiments(db);
  await createModels(db);
}

async function createLedger(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('pipeline.identity')
    .addColumn('only_row', 'boolean', (c) =>
      c
        .primaryKey()
        .defaultTo(true)
        .check(sql`only_row`),
    )
    .addColumn('id', 'uuid', (c) => c.notNull().defaultTo(sql`gen_random_uuid()`))
    .execute();
  await sql`insert into pipeline.identity default values`.execute(db);
  await db.schema
    .createTable('pipeline.runs')
    .addColumn('run', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('profile', 'text', (c) => c.notNull())
    .addColumn('settings_hash', 'text', (c) => c.notNull())
    .addColumn('settings', 'jsonb', (c) => c.notNull())
    .addColumn('workflow_id', 'text', (c) => c.notNull())
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('namespace_id', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('may_publish', 'boolean', (c) => c.notNull())
    .addColumn('code_version', 'text', (c) => c.notNull())
    .addColumn('started_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('finished_at', 'timestamptz')
    .execute();
  await db.schema
    .createIndex('runs_one_per_as_of')
    .unique()
    .on('pipeline.runs')
    .column('as_of')
    .where(sql.ref('status'), 'in', ['running', 'success'])
    .execute();
  // One run at a time writes the snapshot: every live run does, so there is one live run.
  await db.schema
    .createIndex('runs_one_live')
    .unique()
    .on('pipeline.runs')
    .column('status')
    .where(sql.ref('status'), '=', 'running')
    .execute();
  await db.schema
    .createTable('pipeline.stages')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('stage', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('token', 'integer', (c) => c.notNull())
    .addColumn('result', 'jsonb')
    .addColumn('rows', 'bigint')
    .addColumn('started_at', 'timestamptz', (c) => c.notNull())
    .addColumn('finished_at', 'timestamptz')
    .addPrimaryKeyConstraint('stages_key', ['run', 'stage'])
    .execute();
  await db.schema
    .createTable('pipeline.chunks')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('stage', 'text', (c) => c.notNull())
    .addColumn('chunk', 'text', (c) => c.notNull())
    .addColumn('rows', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('chunks_key', ['run', 'stage', 'chunk'])
    .addForeignKeyConstraint('chunks_stage', ['run', 'stage'], 'pipeline.stages', ['run', 'stage'])
    .execute();
  await db.schema
    .createTable('pipeline.checkpoints')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('stage', 'text', (c) => c.notNull())
    .addColumn('iteration', 'integer', (c) => c.notNull())
    .addColumn('item_factors', 'bytea', (c) => c.notNull())
    .addPrimaryKeyConstraint('checkpoints_key', ['run', 'stage'])
    .addForeignKeyConstraint('checkpoints_stage', ['run', 'stage'], 'pipeline.stages', ['run', 'stage'])
    .execute();
  await db.schema
    .createTable('pipeline.run_log')
    .addColumn('run', 'integer', (c) => c.primaryKey().references('pipeline.runs.run'))
    .addColumn('as_of', 'timestamptz', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('run_at', 'timestamptz', (c) => c.notNull())
    .addColumn('duration_seconds', 'double precision', (c) => c.notNull())
    .addColumn('model_version', 'text')
    .addColumn('training_size', 'integer')
    .addColumn('rank', 'integer')
    .addColumn('rmse', 'double precision')
    .addColumn('mae', 'double precision')
    .addColumn('precision_at_10', 'double precision')
    .addColumn('champion_before', 'text')
    .addColumn('champion_after', 'text')
    .addColumn('published', 'boolean', (c) => c.notNull())
    .addColumn('previous_run', 'integer')
    .addColumn('rmse_change', 'double precision')
    .addColumn('mae_change', 'double precision')
    .addColumn('precision_at_10_change', 'double precision')
    .addColumn('failed_stage', 'text')
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('stages', 'jsonb', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('pipeline.alerts')
    .addColumn('alert_id', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('raised_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addUniqueConstraint('alerts_once_per_run_and_kind', ['run', 'kind'])
    .execute();
}

async function createQuality(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('quality.check_results')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('check_name', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('severity', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('observed', 'double precision')
    .addColumn('expected', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('sample', 'jsonb', (c) => c.notNull())
    .addColumn('checked_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('check_results_key', ['run', 'check_name'])
    .execute();
}

async function createExperiments(db: Kysely<unknown>): Promise<void> {
  await addRankingMetrics(
    db.schema
      .createTable('experiments.evaluations')
      .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
      .addColumn('configuration', 'text', (c) => c.notNull())
      .addColumn('parameters', 'jsonb', (c) => c.notNull())
      .addColumn('training_size', 'integer', (c) => c.notNull())
      .addColumn('rmse', 'double precision')
      .addColumn('mae', 'double precision')
      .addColumn('rmse_with_fallback', 'double precision')
      .addColumn('mae_with_fallback', 'double precision'),
  )
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('predictions', 'integer', (c) => c.notNull())
    .addColumn('dropped', 'integer', (c) => c.notNull())
    .addColumn('factors_checksum', 'text', (c) => c.notNull())
    .addColumn('training_seconds', 'double precision', (c) => c.notNull())
    .addColumn('evaluated_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('evaluations_key', ['run', 'configuration'])
    .execute();
  await db.schema
    .createTable('experiments.user_metrics')
    .addColumn('run', 'integer', (c) => c.notNull())
    .addColumn('configuration', 'text', (c) => c.notNull())
    .addColumn('user_id', 'integer', (c) => c.notNull())
    .addColumn('ab_group', 'text', (c) => c.notNull())
    .addColumn('scored', 'integer', (c) => c.notNull())
    .addColumn('squared_error', 'double precision', (c) => c.notNull())
    .addColumn('absolute_error', 'double precision', (c) => c.notNull())
    .addColumn('relevant', 'integer', (c) => c.notNull())
    .addColumn('precision_at_10', 'double precision')
    .addColumn('ndcg_at_10', 'double precision')
    .addPrimaryKeyConstraint('user_metrics_key', ['run', 'configuration', 'user_id'])
    .execute();
  await db.schema
    .createTable('experiments.ab_test_results')
    .addColumn('test_id', 'text', (c) => c.notNull())
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('ab_group', 'text', (c) => c.notNull())
    .addColumn('model_name', 'text', (c) => c.notNull())
    .addColumn('rank', 'integer', (c) => c.notNull())
    .addColumn('rmse', 'double precision')
    .addColumn('mae', 'double precision')
    .addColumn('precision_at_10', 'double precision')
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('predictions', 'integer', (c) => c.notNull())
    .addColumn('is_winner', 'boolean', (c) => c.notNull())
    .addColumn('decided', 'boolean', (c) => c.notNull())
    .addColumn('sample_ratio_p', 'double precision', (c) => c.notNull())
    .addColumn('test_date', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('ab_test_results_key', ['test_id', 'ab_group'])
    .execute();
  await db.schema
    .createTable('experiments.comparisons')
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('metric', 'text', (c) => c.notNull())
    .addColumn('configuration_a', 'text', (c) => c.notNull())
    .addColumn('configuration_b', 'text', (c) => c.notNull())
    .addColumn('difference', 'double precision', (c) => c.notNull())
    .addColumn('interval_low', 'double precision', (c) => c.notNull())
    .addColumn('interval_high', 'double precision', (c) => c.notNull())
    .addColumn('users', 'integer', (c) => c.notNull())
    .addColumn('resamples', 'integer', (c) => c.notNull())
    .addColumn('seed', 'integer', (c) => c.notNull())
    .addColumn('decided', 'boolean', (c) => c.notNull())
    .addColumn('winner', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('comparisons_key', ['run', 'metric', 'configuration_a', 'configuration_b'])
    .execute();
}

async function createModels(db: Kysely<unknown>): Promise<void> {
  await addRankingMetrics(
    db.schema
      .createTable('models.metadata')
      .addColumn('run', 'integer', (c) => c.primaryKey().references('pipeline.runs.run'))
      .addColumn('model_version', 'text', (c) => c.notNull().unique())
      .addColumn('model_name', 'text', (c) => c.notNull())
      .addColumn('family', 'text', (c) => c.notNull())
      .addColumn('rank', 'integer', (c) => c.notNull())
      .addColumn('max_iter', 'integer', (c) => c.notNull())
      .addColumn('reg_param', 'double precision', (c) => c.notNull())
      .addColumn('seed', 'integer', (c) => c.notNull())
      .addColumn('configuration', 'text', (c) => c.notNull())
      .addColumn('training_size', 'integer', (c) => c.notNull())
      .addColumn('rmse', 'double precision')
      .addColumn('mae', 'double precision'),
  )
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('trained_at', 'timestamptz')
    .addColumn('snapshot', 'integer', (c) => c.notNull())
    .addColumn('code_version', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('metadata_one_champion_version')
    .unique()
    .on('models.metadata')
    .column('status')
    .where(sql.ref('status'), '=', 'champion')
    .execute();
  await db.schema
    .createTable('models.champions')
    .addColumn('champion_id', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('configuration', 'text', (c) => c.notNull())
    .addColumn('parameters', 'jsonb', (c) => c.notNull())
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('since', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('retired_at', 'timestamptz')
    .execute();
  await sql`create unique index champions_one_serves on models.champions ((true)) where retired_at is null`.execute(
    db,
  );
  await db.schema
    .createTable('models.promotions')
    .addColumn('promotion_id', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('run', 'integer', (c) => c.notNull().unique().references('pipeline.runs.run'))
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('from_configuration', 'text')
    .addColumn('to_configuration', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('numbers', 'jsonb', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('decided_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .execute();
  await sql`
    create function models.refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception 'models.promotions is append-only: a decision is never changed, a new one is added';
    end $$`.execute(db);
  await sql`
    create trigger promotions_append_only before update or delete on models.promotions
    for each row execute function models.refuse_change()`.execute(db);
}

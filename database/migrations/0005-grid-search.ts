import { type Kysely, sql } from 'kysely';

/** Grid searches, and what became of each of their points. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('experiments.grid_searches')
    .addColumn('search', 'integer', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('workflow_id', 'text', (c) => c.notNull().unique())
    .addColumn('execution_id', 'text', (c) => c.notNull())
    .addColumn('run', 'integer', (c) => c.notNull().references('pipeline.runs.run'))
    .addColumn('metric', 'text', (c) => c.notNull())
    .addColumn('points', 'jsonb', (c) => c.notNull())
    .addColumn('code_version', 'text', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('finished_at', 'timestamptz')
    .addColumn('best_configuration', 'text')
    .execute();

  let results = db.schema
    .createTable('experiments.grid_search_results')
    .addColumn('search', 'integer', (c) => c.notNull().references('experiments.grid_searches.search'))
    .addColumn('configuration', 'text', (c) => c.notNull())
    .addColumn('parameters', 'jsonb', (c) => c.notNull())
    .addColumn('family', 'text', (c) => c.notNull())
    .addColumn('rank', 'integer', (c) => c.notNull())
    .addColumn('iterations', 'integer', (c) => c.notNull())
    .addColumn('reg_param', 'double precision', (c) => c.notNull())
    .addColumn('training_size', 'integer')
    .addColumn('rmse', 'double precision')
    .addColumn('mae', 'double precision')
    .addColumn('rmse_with_fallback', 'double precision')
    .addColumn('mae_with_fallback', 'double precision')
    .addColumn('precision_at_10', 'double precision')
    .addColumn('recall_at_10', 'double precision')
    .addColumn('ndcg_at_10', 'double precision')
    .addColumn('map_at_10', 'double precision')
    .addColumn('popularity_at_10', 'double precision')
    .addColumn('coverage', 'double precision');
  for (const count of ['users', 'predictions', 'dropped']) results = results.addColumn(count, 'integer');
  await results
    .addColumn('factors_checksum', 'text')
    .addColumn('training_seconds', 'double precision')
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addColumn('is_best', 'boolean', (c) => c.notNull().defaultTo(false))
    .addColumn('evaluated_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addPrimaryKeyConstraint('grid_search_results_key', ['search', 'configuration'])
    .execute();
  await db.schema
    .createIndex('grid_search_results_one_best')
    .unique()
    .on('experiments.grid_search_results')
    .column('search')
    .where(sql.ref('is_best'), '=', true)
    .execute();
}

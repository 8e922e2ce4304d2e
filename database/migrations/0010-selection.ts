import type { Kysely } from 'kysely';

/** What selection by any metric, several challengers and an operator's decision need. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of ['recall_at_10', 'average_precision_at_10'])
    await db.schema.alterTable('experiments.user_metrics').addColumn(column, 'double precision').execute();
  for (const column of ['p_value', 'p_adjusted'])
    await db.schema.alterTable('experiments.comparisons').addColumn(column, 'double precision').execute();
}

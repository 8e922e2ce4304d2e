/**
 * A grid search in activities. Its rows are only ever added, each under a key of its own: equal configurations on one
 * snapshot give equal results, so whichever attempt writes a row writes the right one, and no fencing token is needed.
 */

import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { type GridSearchInput, byMetric, checkGridSearch } from '../../config/grid-search.ts';
import { METRICS, type Metric } from '../../config/metrics.ts';
import type { ModelConfiguration } from '../../config/settings.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { gridSearch, gridSearchResults } from '../../database/experiments.ts';
import { transaction } from '../../database/session.ts';
import { configurationKey } from '../../recommender/index.ts';
import { assertMeant } from '../support/database.ts';
import { terminalFailure } from '../support/failures.ts';
import { asRequested } from '../support/settings.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { StageResult } from '../support/stage.ts';
import { snapshotFor } from './kept-snapshot.ts';

export interface BeginGridSearchInput extends GridSearchInput {
  /** The run whose snapshot is searched on; the newest that came to its end where it is left out. */
  run?: number;
  database?: string;
  workflowId: string;
  executionId: string;
}

export interface GridSearchReference {
  search: number;
}

export interface BegunGridSearch extends GridSearchReference {
  run: number;
  asOf: string;
  note: string;
}

/**
 * Enters a grid search. The workflow's id names it: an attempt that is made again, and a workflow that is started
 * again under the same id, find the one that there is and go on with it.
 */
export async function beginGridSearch(
  { connection, codeVersion }: ActivityDependencies,
  input: BeginGridSearchInput,
): Promise<BegunGridSearch> {
  const { db } = connection;
  const { points, metric } = asRequested(() => checkGridSearch(input));
  await assertMeant(connection, input.database);
  if ((await searchOf(db, input.workflowId)) === undefined) {
    const { run } = await snapshotFor(db, input.run, 'search');
    await db
      .insertInto('experiments.grid_searches')
      .values({
        workflow_id: input.workflowId,
        execution_id: input.executionId,
        run,
        metric,
        points: JSON.stringify(points),
        code_version: codeVersion,
      })
      .onConflict((conflict) => conflict.column('workflow_id').doNothing())
      .execute();
  }
  const found = await searchOf(db, input.workflowId);
  if (found === undefined) throw new Error(`the grid search of workflow ${input.workflowId} was not entered`);
  const { search, run } = found;
  if (!isDeepStrictEqual([found.points, found.metric, input.run ?? run], [points, metric, run])) {
    throw terminalFailure(
      'InvalidRequest',
      `workflow ${input.workflowId} is grid search ${search} of run ${run} with other points or another metric; expected the same ones, or another workflow id`,
    );
  }
  const again = found.execution_id === input.executionId ? '' : ', asked for before';
  return { search, run, asOf: found.as_of.toISOString(), note: `grid search ${search}${again}` };
}

async function searchOf(db: Db, workflowId: string) {
  const entered = await db
    .selectFrom('experiments.grid_searches')
    .select('search')
    .where('workflow_id', '=', workflowId)
    .executeTakeFirst();
  return entered === undefined ? undefined : gridSearch(db, entered.search);
}

/** What a grid search came to; its points stand in `experiments.grid_search_results`. */
export interface GridSearchOutcome extends StageResult, GridSearchReference {
  run: number;
  metric: Metric;
  points: number;
  /** Points without a usable model. */
  failed: number;
  best: { configuration: string; parameters: ModelConfiguration; value: number };
  note: string;
}

/**
 * Chooses the best point by the search's metric, of equal ones that which was named first, and marks it.
 * @throws ModelUnusable where no point has the metric
 */
export async function finishGridSearch(
  { connection }: ActivityDependencies,
  { search }: GridSearchReference,
): Promise<GridSearchOutcome> {
  const { run, metric, points } = await entered(connection.db, search);
  const rows = await gridSearchResults(connection.db, search);
  const named = points.map((configuration) => {
    const row = rows.find((one) => one.configuration === configurationKey(configuration));
    if (row === undefined) throw new Error(`grid search ${search}: expected a row of every point`);
    return { row, configuration };
  });
  const [first] = named.toSorted((a, b) => byMetric(metric)(a.row, b.row));
  const value = first.row[METRICS[metric].column];
  const best = value === null ? null : first.row.configuration;
  await markFinished(connection, search, best);
  const failed = rows.filter(({ status }) => status === 'failed').length;
  if (value === null || best === null) {
    throw terminalFailure(
      'ModelUnusable',
      `grid search ${search}: no point of ${points.length} has the metric ${metric}, expected one at least; the first: ${first.row.reason ?? 'its family has none'}; look at regularisation and rank`,
    );
  }
  return {
    rows: rows.length,
    search,
    run,
    metric,
    points: points.length,
    failed,
    best: { configuration: best, parameters: first.configuration, value },
    note: `${best}: ${inWords(metric, value)}`,
  };
}

/** Once: whoever comes later finds it marked, and would mark the same. */
async function markFinished(connection: Connection, search: number, best: string | null): Promise<void> {
  await transaction(connection, async ({ db }) => {
    const { numUpdatedRows } = await db
      .updateTable('experiments.grid_searches')
      .set({ finished_at: sql`clock_timestamp()`, best_configuration: best })
      .where('search', '=', search)
      .where('finished_at', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n || best === null) return;
    await db
      .updateTable('experiments.grid_search_results')
      .set({ is_best: true })
      .where('search', '=', search)
      .where('configuration', '=', best)
      .execute();
  });
}

/** A search that was entered. */
export async function entered(db: Db, search: number) {
  const found = await gridSearch(db, search);
  if (found === undefined)
    throw terminalFailure('InvalidRequest', `grid search ${search}: there is no such one`);
  // Both were checked when they were entered.
  return { ...found, metric: found.metric as Metric, points: found.points as ModelConfiguration[] };
}

/** The metric that a search goes by, and its value. */
export function inWords(metric: Metric, value: number | null): string {
  return `${metric} ${value?.toFixed(4) ?? 'n/a'}`;
}

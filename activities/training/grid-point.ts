import { METRICS } from '../../config/metrics.ts';
import type { ModelConfiguration } from '../../config/settings.ts';
import { gridSearchResults } from '../../database/experiments.ts';
import { transaction } from '../../database/session.ts';
import { UnusableModelError, configurationKey } from '../../recommender/index.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { type GridSearchReference, entered, inWords } from './grid-search.ts';
import { assertKept } from './kept-snapshot.ts';
import { measureTwinAtOnce, metricColumns } from './twin.ts';

export interface GridPointInput extends GridSearchReference {
  configuration: ModelConfiguration;
}

export interface GridPointResult {
  configuration: string;
  /** What the stage table shows of it: an unusable model fails the point, not the search. */
  state: 'done' | 'failed';
  note: string;
}

/**
 * Trains a twin of the configuration on the search's snapshot and adds its row; a point that has one is not trained
 * again. A configuration that gives no usable model has a row that says why.
 * @throws SnapshotGone where the snapshot was dropped meanwhile
 */
export async function evaluateGridPoint(
  dependencies: ActivityDependencies,
  { search, configuration }: GridPointInput,
  heartbeat: Heartbeat,
): Promise<GridPointResult> {
  const { connection } = dependencies;
  const { db } = connection;
  const key = configurationKey(configuration);
  const { run, metric } = await entered(db, search);
  const point = async () => (await gridSearchResults(db, search)).find((row) => row.configuration === key);
  if ((await point()) === undefined) {
    await assertKept(db, run, { by: `grid search ${search}`, until: 'last point', verb: 'search' });
    const tried = await tryPoint(dependencies, run, configuration, heartbeat);
    const { family, rank, iterations, regularization } = configuration;
    await transaction(
      connection,
      (session) =>
        session.db
          .insertInto('experiments.grid_search_results')
          .values({
            search,
            configuration: key,
            parameters: JSON.stringify(configuration),
            family,
            rank,
            iterations,
            reg_param: regularization,
            ...tried,
          })
          .onConflict((conflict) => conflict.columns(['search', 'configuration']).doNothing())
          .execute(),
      { signal: heartbeat.signal },
    );
  }
  const row = await point();
  if (row === undefined) throw new Error(`grid search ${search}: the row of ${key} was not added`);
  return {
    configuration: key,
    state: row.status === 'failed' ? 'failed' : 'done',
    note: row.reason ?? inWords(metric, row[METRICS[metric].column]),
  };
}

async function tryPoint(
  dependencies: ActivityDependencies,
  run: number,
  configuration: ModelConfiguration,
  heartbeat: Heartbeat,
) {
  try {
    const { evaluation, ...twin } = await measureTwinAtOnce(dependencies, run, configuration, heartbeat);
    return {
      status: 'ok' as const,
      ...metricColumns(evaluation),
      training_size: twin.trainingSize,
      factors_checksum: twin.checksum,
      training_seconds: twin.trainingSeconds,
    };
  } catch (error) {
    if (!(error instanceof UnusableModelError)) throw error;
    return { status: 'failed' as const, reason: error.message };
  }
}

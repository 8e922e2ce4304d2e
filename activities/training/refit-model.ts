import { sql } from 'kysely';
import { copyIn } from '../../database/copy.ts';
import { encodeFactorRows } from '../../database/copy-binary.ts';
import type { Session } from '../../database/session.ts';
import { attachPartition, createDetachedPartition, partitionName } from '../../database/versions.ts';
import { type Model, predictsRatings } from '../../recommender/index.ts';
import { readSelection } from '../selection/result.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { trainWithCheckpoints } from './checkpoints.ts';
import { loadRefitStart } from './refit-start.ts';
import { withSnapshotMatrix } from './snapshot-matrix.ts';

export const REFIT_STAGE = 'refit';

export interface RefitResult extends StageResult {
  modelVersion: string;
  note: string;
}

/**
 * Trains the configuration that selection decided for on the whole snapshot and stores its factors. It goes on where its
 * twin stood some iterations before the end, so that as many are done as the configuration has.
 */
export function refitModel(
  dependencies: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<RefitResult> {
  const { connection, threads, checkpointSeconds } = dependencies;
  return runStage(connection, { run, stage: REFIT_STAGE, signal }, async (attempt) => {
    const { parameters, modelVersion } = await readSelection(connection.db, run);
    report({ step: 'loading the snapshot' });
    const from = await loadRefitStart(connection.db, run, parameters);
    const { model, built } = await withSnapshotMatrix(
      dependencies,
      { run, part: 'whole' },
      signal,
      async (given) => ({
        built: given,
        model: await trainWithCheckpoints(connection, attempt, given.matrix, parameters, {
          threads,
          checkpointSeconds,
          report,
          from,
        }),
      }),
    );
    report({ step: 'storing the factors' });
    const result = await attempt.finish(async (session) => {
      await storeFactors(session, run, 'store.user_factors', model.userIds, model.userFactors, model);
      await storeFactors(session, run, 'store.item_factors', model.itemIds, model.itemFactors, model);
      await session.db
        .updateTable('models.metadata')
        .set({
          trained_at: sql`clock_timestamp()`,
          global_mean: predictsRatings(parameters) ? model.mean : null,
        })
        .where('run', '=', run)
        .execute();
      const rows = model.userIds.length + model.itemIds.length;
      return { rows, modelVersion, note: modelVersion };
    });
    built.refitted = { model: { ...model, configuration: parameters }, token: attempt.token };
    return result;
  });
}

async function storeFactors(
  { db, client }: Session,
  run: number,
  table: 'store.user_factors' | 'store.item_factors',
  ids: Int32Array,
  factors: Float32Array,
  { rank }: Model,
): Promise<void> {
  await createDetachedPartition(db, table, run);
  const id = table === 'store.user_factors' ? 'user_id' : 'movie_id';
  await copyIn(
    client,
    { table: partitionName(table, run), columns: ['run', id, 'factors'], options: 'format binary' },
    encodeFactorRows(run, ids, factors, rank),
  );
  await attachPartition(db, table, run);
}

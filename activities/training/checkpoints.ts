import type { Connection } from '../../database/connect.ts';
import {
  type Configuration,
  type Model,
  type RatingMatrix,
  type TrainingCheckpoint,
  UnusableModelError,
  trainModel,
} from '../../recommender/index.ts';
import { terminalFailure } from '../support/failures.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { StageAttempt } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { reportIterations } from './progress.ts';

/**
 * Trains for a stage: resumes at the checkpoint that an earlier attempt left, and leaves its own. A checkpoint that
 * may not be written, because a successor has taken the stage over, ends the training.
 * @throws ModelUnusable where a factor is not finite
 */
export async function trainWithCheckpoints(
  connection: Connection,
  attempt: StageAttempt,
  matrix: RatingMatrix,
  configuration: Configuration,
  options: Pick<ActivityDependencies, 'threads' | 'checkpointSeconds'> & Pick<Heartbeat, 'report'>,
): Promise<Model> {
  const superseded = new AbortController();
  const signal = AbortSignal.any([attempt.signal, superseded.signal]);
  let saving = Promise.resolve();
  const model = await trainModel(matrix, configuration, {
    threads: options.threads,
    checkpointSeconds: options.checkpointSeconds,
    signal,
    resume: await loadCheckpoint(connection, attempt),
    onIteration: reportIterations(options.report, configuration),
    onCheckpoint: (checkpoint) => {
      saving = saving
        .then(() => saveCheckpoint(attempt, checkpoint))
        .catch((error: unknown) => superseded.abort(error));
    },
  }).catch((error: unknown) => {
    if (!(error instanceof UnusableModelError)) throw error;
    throw terminalFailure(
      'ModelUnusable',
      `run ${attempt.run}, stage ${attempt.stage}: ${error.message}, expected finite ones; look at the configuration's regularisation and rank`,
    );
  });
  await saving;
  signal.throwIfAborted();
  return model;
}

async function loadCheckpoint(
  { db }: Connection,
  { run, stage }: StageAttempt,
): Promise<TrainingCheckpoint | undefined> {
  const row = await db
    .selectFrom('pipeline.checkpoints')
    .select(['iteration', 'item_factors'])
    .where('run', '=', run)
    .where('stage', '=', stage)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  // A copy, because a Buffer's bytes need not begin where a float may.
  return {
    iteration: row.iteration,
    itemFactors: new Float32Array(Uint8Array.from(row.item_factors).buffer),
  };
}

async function saveCheckpoint(
  attempt: StageAttempt,
  { iteration, itemFactors }: TrainingCheckpoint,
): Promise<void> {
  const item_factors = Buffer.from(itemFactors.buffer, itemFactors.byteOffset, itemFactors.byteLength);
  await attempt.write(({ db }) =>
    db
      .insertInto('pipeline.checkpoints')
      .values({ run: attempt.run, stage: attempt.stage, iteration, item_factors })
      .onConflict((conflict) => conflict.columns(['run', 'stage']).doUpdateSet({ iteration, item_factors }))
      .execute(),
  );
}

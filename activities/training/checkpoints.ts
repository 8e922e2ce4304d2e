import type { Connection } from '../../database/connect.ts';
import {
  type Configuration,
  type Model,
  type RatingMatrix,
  type TrainingCheckpoint,
  UnusableModelError,
  collectLatestGarbage,
  trainModel,
} from '../../recommender/index.ts';
import { terminalFailure } from '../support/failures.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { StageAttempt } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { toBytes, toFloats } from './bytes.ts';
import { reportIterations } from './progress.ts';
import { type RefitStart, keepRefitStart, refitStartsAfter } from './refit-start.ts';

interface StageTraining
  extends Pick<ActivityDependencies, 'threads' | 'checkpointSeconds'>, Pick<Heartbeat, 'report'> {
  /** Where it goes on; from the seed by default. */
  from?: RefitStart;
  /** Keeps what a refit goes on from. */
  keepsStart?: boolean;
}

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
  { threads, checkpointSeconds, report, from, keepsStart = false }: StageTraining,
): Promise<Model> {
  const superseded = new AbortController();
  const signal = AbortSignal.any([attempt.signal, superseded.signal]);
  // In their order, and none after one that failed: where there is a checkpoint of a later iteration, there is what a refit
  // goes on from, and no part has a hole before it.
  let saving = Promise.resolve();
  const save = (write: () => Promise<void>): void => {
    saving = saving
      .then(() => (superseded.signal.aborted ? undefined : write()))
      .then(collectLatestGarbage)
      .catch((error: unknown) => superseded.abort(error));
  };
  const after = keepsStart ? refitStartsAfter(configuration) : null;
  const done = from?.iteration ?? 0;
  const model = await trainModel(matrix, leftOf(configuration, from), {
    threads,
    checkpointSeconds,
    signal,
    start: from?.factors,
    resume: await loadCheckpoint(connection, attempt, done),
    onIteration: reportIterations(report, configuration, done),
    onCheckpoint: (checkpoint) => save(() => saveCheckpoint(attempt, checkpoint, done)),
    handOver:
      after === null
        ? undefined
        : {
            after,
            take: (factors) =>
              save(() => keepRefitStart(attempt, configuration, { factors, iteration: after })),
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

/** A configuration with the iterations that are left to do. */
function leftOf(configuration: Configuration, from: RefitStart | undefined): Configuration {
  if (from === undefined || configuration.family === 'popular') return configuration;
  return { ...configuration, iterations: configuration.iterations - from.iteration };
}

/**
 * All parts that earlier attempts have left, or undefined where there are none.
 * @param done iterations before the training: an attempt that began at others counts its half-steps from there
 */
async function loadCheckpoint(
  { db }: Connection,
  { run, stage }: StageAttempt,
  done: number,
): Promise<TrainingCheckpoint | undefined> {
  const rows = await db
    .selectFrom('pipeline.checkpoints')
    .select(['half_step', 'first_row', 'factors', 'objective'])
    .where('run', '=', run)
    .where('stage', '=', stage)
    .where('done_before', '=', done)
    .orderBy('half_step')
    .orderBy('first_row')
    .execute();
  const last = rows.at(-1);
  if (last === undefined) return undefined;
  return {
    parts: rows.map(({ half_step, first_row, factors }) => ({
      halfStep: half_step,
      first: first_row,
      factors: toFloats(factors),
    })),
    keepFrom: rows[0].half_step,
    objective: last.objective,
  };
}

async function saveCheckpoint(
  attempt: StageAttempt,
  { parts, keepFrom, objective }: TrainingCheckpoint,
  done: number,
): Promise<void> {
  const { run, stage } = attempt;
  await attempt.write(async ({ db }) => {
    const kept = db.deleteFrom('pipeline.checkpoints').where('run', '=', run).where('stage', '=', stage);
    await kept.where('done_before', '<>', done).execute();
    for (const { halfStep, first, factors } of parts) {
      const row = { half_step: halfStep, first_row: first, factors: toBytes(factors), objective };
      await db
        .insertInto('pipeline.checkpoints')
        .values({ run, stage, done_before: done, ...row })
        .execute();
    }
    await kept.where('half_step', '<', keepFrom).execute();
  });
}

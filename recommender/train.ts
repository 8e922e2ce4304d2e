import type { AlsIteration, AlsTask } from './als.ts';
import type { AlsConfiguration, Configuration } from './configuration.ts';
import type { Model } from './model.ts';
import { createRandom } from './random.ts';
import type { RatingMatrix } from './ratings.ts';
import { runThreads } from './threads/pool.ts';

export interface IterationProgress extends Omit<AlsIteration, 'checkpoint'> {
  /** Since the training began. */
  seconds: number;
}

/** Where a training can be taken up again: the same bits come out as if it had not stopped. */
export interface TrainingCheckpoint {
  iteration: number;
  itemFactors: Float32Array;
}

export interface TrainOptions {
  threads: number;
  signal?: AbortSignal;
  onIteration?: (progress: IterationProgress) => void;
  /** Resumes after this iteration of the same configuration on the same ratings. */
  resume?: TrainingCheckpoint;
  /** Told after an iteration when `checkpointSeconds` have passed since the last time. */
  onCheckpoint?: (checkpoint: TrainingCheckpoint) => void;
  /** 2 by default: with an iteration of at most 3 s, at most 5 s of work are lost. */
  checkpointSeconds?: number;
}

/** A model that nothing can be made of: the same ratings and seed would give the same one again. */
export class UnusableModelError extends Error {
  override name = 'UnusableModelError';
}

/**
 * Trains a configuration. The same ratings and seed give the same factors to the bit, whatever the number of
 * threads, on any machine.
 * @throws UnusableModelError where a factor is not finite, or the signal's reason
 */
export async function trainModel(
  matrix: RatingMatrix,
  configuration: Configuration,
  options: TrainOptions,
): Promise<Model> {
  const model =
    configuration.family === 'popular'
      ? popularModel(matrix, configuration)
      : await trainAls(matrix, configuration as AlsConfiguration, options);
  for (const factors of [model.userFactors, model.itemFactors]) {
    if (!factors.every(Number.isFinite)) {
      throw new UnusableModelError(`training of ${configuration.family} gave a factor that is not finite`);
    }
  }
  return model;
}

/** Rank 1: every user's factor is 1, an item's is its number of ratings. */
function popularModel({ userIds, itemIds, byItem }: RatingMatrix, configuration: Configuration): Model {
  return {
    configuration,
    rank: 1,
    userIds,
    itemIds,
    userFactors: new Float32Array(userIds.length).fill(1),
    itemFactors: Float32Array.from(itemIds, (_, item) => byItem.starts[item + 1] - byItem.starts[item]),
  };
}

async function trainAls(
  matrix: RatingMatrix,
  configuration: AlsConfiguration,
  options: TrainOptions,
): Promise<Model> {
  const { threads, signal, onIteration, resume, onCheckpoint, checkpointSeconds = 2 } = options;
  const { userIds, itemIds } = matrix;
  const { rank, iterations, regularization, seed } = configuration;
  const task: AlsTask = {
    matrix,
    rank,
    done: resume?.iteration ?? 0,
    iterations,
    regularization,
    checkpointEvery: onCheckpoint === undefined ? null : checkpointSeconds * 1000,
    userFactors: new Float32Array(new SharedArrayBuffer(userIds.length * rank * 4)),
    itemFactors: initialFactors(itemIds.length, rank, seed),
    objective: new Float64Array(new SharedArrayBuffer(itemIds.length * 8)),
  };
  if (resume !== undefined) task.itemFactors.set(resume.itemFactors);
  const started = performance.now();
  await runThreads('als', task, {
    threads,
    signal,
    onProgress: ({ checkpoint, ...progress }: AlsIteration) => {
      if (checkpoint !== null) onCheckpoint?.({ iteration: progress.iteration, itemFactors: checkpoint });
      onIteration?.({ ...progress, seconds: (performance.now() - started) / 1000 });
    },
  });
  const { userFactors, itemFactors } = task;
  return { configuration, rank, userIds, itemIds, userFactors, itemFactors };
}

/**
 * Rows of unit length with positive entries: ratings are positive, so the first half-step starts near their mean.
 * Of the starts that were tried it has the lowest holdout error after ten iterations; see docs/measurements.md.
 */
function initialFactors(rows: number, rank: number, seed: number): Float32Array {
  const factors = new Float32Array(new SharedArrayBuffer(rows * rank * 4));
  const random = createRandom(seed);
  const row = new Float64Array(rank);
  for (let at = 0; at < rows; at++) {
    let norm = 0;
    for (let i = 0; i < rank; i++) {
      row[i] = (random() + 1) / 2 ** 32;
      norm += row[i] * row[i];
    }
    for (let i = 0; i < rank; i++) factors[at * rank + i] = row[i] / Math.sqrt(norm);
  }
  return factors;
}

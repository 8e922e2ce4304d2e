import {
  type AlsIteration,
  type AlsProgress,
  type AlsTask,
  type Layout,
  ROWS_PER_GRAM,
  SIDE_BYTES,
} from './als.ts';
import type { TrainedFactors } from './als.ts';
import { type Configuration, type FactorizationConfiguration, predictsRatings } from './configuration.ts';
import { bandSize, bandsOf } from './bands.ts';
import { exportedWidth } from './export-factors.ts';
import { Lease } from './memory.ts';
import type { Model } from './model.ts';
import type { RatingMatrix } from './ratings.ts';
import type { StartFactors } from './start.ts';
import { instantiate, kernelModule } from './threads/kernel.ts';
import { runThreads } from './threads/pool.ts';
import { CHUNKS } from './threads/sharing.ts';
import type { TrainingCheckpoint } from './training-checkpoint.ts';

export interface IterationProgress extends AlsIteration {
  /** Since the training began. */
  seconds: number;
}

export interface TrainOptions {
  threads: number;
  signal?: AbortSignal;
  onIteration?: (progress: IterationProgress) => void;
  /** Starts items that another training knows with its factors instead of those that follow from the seed. */
  start?: StartFactors;
  /** Told, before any checkpoint of a later iteration, what a training can start from to go on after this one. */
  handOver?: { after: number; take: (start: StartFactors) => void };
  /** Goes on where checkpoints of the same configuration on the same ratings, from the same start, reach. */
  resume?: TrainingCheckpoint;
  /** Told what is new of a training: together with what was told before, `resume` for the next attempt. */
  onCheckpoint?: (checkpoint: TrainingCheckpoint) => void;
  /**
   * A checkpoint is told at the end of an iteration when so many seconds have passed since the last one, 2 by default;
   * one that takes longer is told of in its middle, so that at most 5 s of work are lost.
   */
  checkpointSeconds?: number;
}

/** A model that nothing can be made of: the same ratings and seed would give the same one again. */
export class UnusableModelError extends Error {
  override name = 'UnusableModelError';
}

/**
 * Trains a configuration. The same ratings and seed give the same factors to the bit, whatever the number of
 * threads, on any machine.
 * @throws UnusableModelError where a factor is not finite, NotEnoughMemoryError, or the signal's reason
 */
export async function trainModel(
  matrix: RatingMatrix,
  configuration: Configuration,
  options: TrainOptions,
): Promise<Model> {
  options.signal?.throwIfAborted();
  const { finite, ...factors } =
    configuration.family === 'popular'
      ? popularFactors(matrix)
      : await trainFactors(matrix, configuration, options);
  if (!finite) {
    throw new UnusableModelError(`training of ${configuration.family} gave a factor that is not finite`);
  }
  return {
    configuration,
    rank: exportedWidth(configuration),
    mean: predictsRatings(configuration) ? matrix.mean : 0,
    // Copies: a model outlives the matrix it was made of.
    userIds: Int32Array.from(matrix.userIds),
    itemIds: Int32Array.from(matrix.itemIds),
    ...factors,
  };
}

/** Rank 1: every user's factor is 1, an item's is its number of ratings. */
function popularFactors({ userIds, itemIds, byItem }: RatingMatrix): TrainedFactors {
  return {
    userFactors: new Float32Array(userIds.length).fill(1),
    itemFactors: Float32Array.from(itemIds, (_, item) => byItem.starts[item + 1] - byItem.starts[item]),
    finite: true,
  };
}

/**
 * Packed vectors of a block are to stay in the fastest cache, of 32 KB in many processors, beside the matrix that they are
 * added to; fewer than 64 a time cost more than that gains.
 */
const BLOCK_BYTES = 1 << 14;

/** How a configuration's factors lie in the engine's memory. */
export function layoutOf({ family, rank }: FactorizationConfiguration): Layout {
  const width = rank + (family === 'als-biased' ? 1 : 0);
  const stride = Math.ceil(width / 4) * 4;
  const block = Math.min(320, Math.max(64, Math.floor(BLOCK_BYTES / (stride * 4)))) & ~3;
  return { width, stride, block };
}

async function trainFactors(
  matrix: RatingMatrix,
  configuration: FactorizationConfiguration,
  options: TrainOptions,
): Promise<TrainedFactors> {
  const { threads, signal, onIteration, onCheckpoint, handOver, checkpointSeconds = 2 } = options;
  const { task, lease } = prepare(matrix, configuration, options);
  const started = performance.now();
  try {
    const [factors] = await runThreads<TrainedFactors>(
      'als',
      { ...task, checkpointEvery: onCheckpoint === undefined ? null : checkpointSeconds * 1000 },
      {
        threads,
        signal,
        onProgress: (progress: AlsProgress) => {
          if ('checkpoint' in progress) onCheckpoint?.(progress.checkpoint);
          else if ('handOver' in progress) {
            const itemIds = Int32Array.from(matrix.itemIds);
            handOver?.take({ itemIds, itemFactors: progress.handOver, width: task.layout.stride });
          } else onIteration?.({ ...progress.iteration, seconds: (performance.now() - started) / 1000 });
        },
      },
    );
    return factors;
  } finally {
    lease.free();
  }
}

/** Takes the memory of a training beside its matrix. */
export function prepare(
  matrix: RatingMatrix,
  configuration: FactorizationConfiguration,
  { threads, start, handOver, resume }: Pick<TrainOptions, 'threads' | 'start' | 'handOver' | 'resume'>,
): { task: AlsTask; lease: Lease } {
  const { workspace, userIds, itemIds } = matrix;
  const layout = layoutOf(configuration);
  const { width, stride, block } = layout;
  const module = kernelModule();
  const kernel = instantiate(module, workspace.memory);
  const lease = new Lease(workspace, `training ${configuration.family} of rank ${configuration.rank}`);
  try {
    const gramBlocks = Math.ceil(Math.max(userIds.length, itemIds.length) / ROWS_PER_GRAM);
    const implicit = configuration.family === 'als-implicit';
    const { byUser, byItem, scale, mean } = matrix;
    const bands = bandsOf(byItem.starts, userIds.length, layout);
    const scratchBytes = kernel.solverBytes(width, stride, block, bands === null ? 0 : bandSize(bands));
    const task: AlsTask = {
      module,
      memory: workspace.memory,
      matrix: { userIds, itemIds, byUser, byItem, scale, mean },
      configuration,
      layout,
      userFactors: lease.array(Float32Array, userIds.length * stride),
      itemFactors: lease.array(Float32Array, itemIds.length * stride),
      userObjective: lease.array(Float64Array, userIds.length),
      itemObjective: lease.array(Float64Array, itemIds.length),
      gram: implicit ? lease.array(Float32Array, stride * stride) : null,
      blockGrams: implicit ? lease.array(Float32Array, gramBlocks * stride * stride) : null,
      bands: bands && { ...bands, rows: copyTo(lease.array(Uint32Array, bands.rows.length), bands.rows) },
      doneBands: lease.array(Uint8Array, bands?.bounds.length ?? 0),
      // The last one stays 0: a search for the first that is not done ends there.
      doneChunks: lease.array(Uint8Array, CHUNKS + 1),
      scratch: Array.from({ length: threads }, () => lease.allocate(2 * SIDE_BYTES + scratchBytes)),
      start: start ?? null,
      handOverAfter: handOver?.after ?? null,
      resume: resume ?? null,
      checkpointEvery: null,
    };
    return { task, lease };
  } catch (error) {
    lease.free();
    throw error;
  }
}

function copyTo(target: Uint32Array, values: Uint32Array): Uint32Array {
  target.set(values);
  return target;
}

/** Alternating least squares on the threads: half-steps in chunks, one iteration after the other. */

import type { Bands } from './bands.ts';
import type { FactorizationConfiguration } from './configuration.ts';
import { exportFactors } from './export-factors.ts';
import type { RatingMatrix, SparseRows } from './ratings.ts';
import { type StartFactors, fillStart } from './start.ts';
import { CheckpointKeeper, type TrainingCheckpoint, restoreFactors } from './training-checkpoint.ts';
import { type Kernel, instantiate, writeFields } from './threads/kernel.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { CHUNKS, balancedChunks, barrier, nextChunk, shareFlag } from './threads/sharing.ts';

/** The matrix as a thread sees it. */
export type MatrixParts = Pick<RatingMatrix, 'userIds' | 'itemIds' | 'byUser' | 'byItem' | 'scale' | 'mean'>;

/** The layout of factors in the engine's memory. */
export interface Layout {
  /** Unknowns of a row: the rank, and its bias where the family has them. */
  width: number;
  /** Floats a row takes: a multiple of four. */
  stride: number;
  /** Ratings that the kernel gathers at a time. */
  block: number;
}

export interface AlsTask {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  matrix: MatrixParts;
  configuration: FactorizationConfiguration;
  layout: Layout;
  userFactors: Float32Array;
  itemFactors: Float32Array;
  /** A row's part of the objective: of a user its penalty, of an item its loss too. */
  userObjective: Float64Array;
  itemObjective: Float64Array;
  /** Of implicit feedback: the Gram matrix of the fixed side, and those of its blocks of rows. */
  gram: Float32Array | null;
  blockGrams: Float32Array | null;
  /** Of the items. */
  bands: Bands | null;
  /** 1 for each chunk, and for each band, of the present half-step that is done. */
  doneChunks: Uint8Array;
  doneBands: Uint8Array;
  /** Byte offset of each thread's own memory. */
  scratch: number[];
  start: StartFactors | null;
  /** The iteration after which the items' factors are told; null for none. */
  handOverAfter: number | null;
  resume: TrainingCheckpoint | null;
  /** Milliseconds after which a checkpoint is due at the end of an iteration; null for none. */
  checkpointEvery: number | null;
}

export interface AlsIteration {
  iteration: number;
  /** Squared error plus penalty after the iteration: what the iterations minimise. */
  objective: number;
}

/** What a training tells on its way. */
export type AlsProgress =
  | { iteration: AlsIteration }
  | { checkpoint: TrainingCheckpoint }
  /** The items' factors, in the kernel's layout. */
  | { handOver: Float32Array };

export interface TrainedFactors {
  userFactors: Float32Array;
  itemFactors: Float32Array;
  /** Whether all of them are finite. */
  finite: boolean;
}

/** Rows of the fixed side whose Gram matrix is summed by one thread: the sum's order is that of the blocks. */
export const ROWS_PER_GRAM = 2048;

/** Bytes that a thread's two descriptions of a half-step take at the head of its scratch. */
export const SIDE_BYTES = 128;

/** More ratings than a row can have: none is in a band. */
const MORE_THAN_ANY = 0xffffffff;

/** The kernel's names for families. */
const FAMILY_NUMBERS = { als: 0, 'als-biased': 1, 'als-implicit': 2 } as const;

interface Side {
  rows: SparseRows;
  chunks: Uint32Array;
  fixed: Float32Array;
  solved: Float32Array;
  objective: Float64Array;
  bands: Bands | null;
  /** Where the kernel finds all this. */
  task: number;
}

/**
 * One thread's part of a training. Each row is solved by exactly one thread from the other side's factors alone, so
 * the bits do not depend on how many threads there are. The first thread gives the factors.
 */
export function solveAls(task: AlsTask, context: ThreadContext): TrainedFactors | null {
  const kernel = instantiate(task.module, task.memory);
  const { matrix, configuration, userFactors, itemFactors } = task;
  const scratch = task.scratch[context.thread];
  const users = describeSide(task, matrix.byUser, scratch, false);
  const items = describeSide(task, matrix.byItem, scratch + SIDE_BYTES, true);
  const work = scratch + 2 * SIDE_BYTES;
  const isFirst = context.thread === 0;
  let done = { halfStep: 0, rows: matrix.itemIds.length };
  let objective: number | null = null;
  // Also where a training goes on: a checkpoint of the first half-step does not hold what it was solved against.
  if (isFirst) fillStart(task);
  if (task.resume !== null) {
    if (isFirst) restoreFactors(task, task.resume);
    done = reached(task.resume, task.layout.stride);
    objective = task.resume.objective;
  }
  const keeper =
    isFirst && task.checkpointEvery !== null
      ? new CheckpointKeeper(task, task.checkpointEvery, done, (checkpoint) =>
          context.progress({ checkpoint } satisfies AlsProgress),
        )
      : null;
  barrier(context);

  const finished = done.rows === (done.halfStep % 2 === 1 ? users : items).chunks.at(-1);
  const handOver = (step: number): void => {
    if (isFirst && task.handOverAfter !== null && step === 2 * task.handOverAfter)
      context.progress({ handOver: task.itemFactors.slice() } satisfies AlsProgress);
  };
  // A checkpoint of all its rows may have been told, and whoever told it stopped, before they were handed over.
  if (finished) handOver(done.halfStep);
  for (
    let step = finished ? done.halfStep + 1 : done.halfStep;
    step <= 2 * configuration.iterations;
    step++
  ) {
    const side = step % 2 === 1 ? users : items;
    if (task.gram !== null) gramOfFixed(task, kernel, context, side.fixed, work);
    if (isFirst) for (const done of [task.doneChunks, task.doneBands]) done.fill(0);
    barrier(context);
    const skipped = step === done.halfStep ? side.chunks.indexOf(done.rows) : 0;
    solveSide(task, kernel, context, side, work, skipped, () =>
      keeper?.whileSolving(step, objective, side, skipped),
    );
    if (step % 2 === 1) continue;
    if (isFirst) {
      const total = sum(task.itemObjective) + sum(task.userObjective);
      context.progress({ iteration: { iteration: step / 2, objective: total } } satisfies AlsProgress);
      handOver(step);
      const { tolerance } = configuration;
      const enough =
        tolerance !== undefined && objective !== null && objective - total < tolerance * objective;
      shareFlag(context, enough);
      objective = total;
      if (!enough && step < 2 * configuration.iterations) keeper?.afterIteration(step, objective);
    }
    // The next half-step writes what this was read from.
    barrier(context);
    if (shareFlag(context)) break;
  }
  if (!isFirst) return null;
  return exportFactors(configuration, task.layout, matrix.mean, userFactors, itemFactors);
}

/** How far a checkpoint reaches: its last half-step, and the rows of it that are solved. */
function reached({ parts }: TrainingCheckpoint, stride: number): { halfStep: number; rows: number } {
  const halfStep = Math.max(...parts.map((part) => part.halfStep));
  const rows = Math.max(
    ...parts
      .filter((part) => part.halfStep === halfStep)
      .map(({ first, factors }) => first + factors.length / stride),
  );
  return { halfStep, rows };
}

/** Writes down a half-step for the kernel, at a thread's own place. */
export function describeSide(task: AlsTask, rows: SparseRows, at: number, loss: boolean): Side {
  const { configuration, matrix, layout } = task;
  const isItems = rows === matrix.byItem;
  const solved = isItems ? task.itemFactors : task.userFactors;
  const fixed = isItems ? task.userFactors : task.itemFactors;
  const objective = isItems ? task.itemObjective : task.userObjective;
  const bands = isItems ? task.bands : null;
  writeFields(task.memory, at, [
    rows.starts.byteOffset,
    rows.columns.byteOffset,
    rows.values.byteOffset,
    matrix.scale?.byteOffset ?? 0,
    fixed.byteOffset,
    solved.byteOffset,
    objective.byteOffset,
    task.gram?.byteOffset ?? 0,
    rows.columns.BYTES_PER_ELEMENT === 4 ? 1 : 0,
    loss ? 1 : 0,
    FAMILY_NUMBERS[configuration.family],
    layout.width,
    layout.stride,
    { float: configuration.regularization },
    { float: matrix.mean },
    { float: configuration.family === 'als-implicit' ? configuration.alpha : 0 },
    layout.block,
    bands?.rows.byteOffset ?? 0,
    bands?.heavy ?? MORE_THAN_ANY,
    bands?.tile ?? 0,
  ]);
  const chunks = balancedChunks(rows.starts, layout.width);
  return { rows, chunks, fixed, solved, objective, bands, task: at };
}

/** One thread's share of a half-step; `afterChunk` runs between two chunks. */
export function solveSide(
  task: AlsTask,
  kernel: Kernel,
  context: ThreadContext,
  { chunks, bands, task: at }: Side,
  work: number,
  skipped: number,
  afterChunk: () => void,
): void {
  // Bands first, also where chunks are skipped: what is left for the end is to be small.
  const bounds = bands?.bounds ?? [0];
  const banded = bounds.length - 1;
  const count = banded + CHUNKS - skipped;
  for (let next = nextChunk(context, count); next >= 0; next = nextChunk(context, count)) {
    if (next < banded) {
      kernel.solveBand(at, bounds[next], bounds[next + 1], work);
      Atomics.store(task.doneBands, next, 1);
    } else {
      const chunk = next - banded + skipped;
      if (chunks[chunk] < chunks[chunk + 1]) kernel.solveRows(at, chunks[chunk], chunks[chunk + 1], work);
      Atomics.store(task.doneChunks, chunk, 1);
    }
    afterChunk();
  }
  barrier(context);
}

/** F'F of the fixed side: blocks by whichever thread, summed in their order by the first. */
export function gramOfFixed(
  { gram, blockGrams, layout }: AlsTask,
  kernel: Kernel,
  context: ThreadContext,
  fixed: Float32Array,
  work: number,
): void {
  if (gram === null || blockGrams === null) return;
  const rows = fixed.length / layout.stride;
  const blocks = Math.ceil(rows / ROWS_PER_GRAM);
  for (let block = nextChunk(context, blocks); block >= 0; block = nextChunk(context, blocks)) {
    const from = block * ROWS_PER_GRAM;
    const to = Math.min(rows, from + ROWS_PER_GRAM);
    const out = blockGrams.byteOffset + block * gram.byteLength;
    kernel.gramOfRows(fixed.byteOffset, from, to, layout.stride, layout.block, out, work);
  }
  barrier(context);
  if (context.thread !== 0) return;
  for (let at = 0; at < gram.length; at++) {
    let total = 0;
    for (let block = 0; block < blocks; block++) total += blockGrams[block * gram.length + at];
    gram[at] = total;
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

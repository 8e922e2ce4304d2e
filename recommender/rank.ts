/** Ranking on the threads: many queries against panels of items. */

import { principalAxes } from './principal-axes.ts';
import { type RankedLists, threadRange } from './ranked-lists.ts';
import type { SparseRows } from './ratings.ts';
import { type Kernel, instantiate, kernelModule, writeFields } from './threads/kernel.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { barrier, nextChunk } from './threads/sharing.ts';
import { Lease, type Workspace } from './memory.ts';

/** Lanes of a panel; the kernel's number. */
const PANEL = 8;
/** 256 items of rank 20 are 20 KB: they stay in the fastest cache while a chunk of queries passes. */
const PANELS_PER_BLOCK = 32;
/** 16 groups of six: enough that a block of items is worth its loading. */
const QUERIES_PER_CHUNK = 96;
/** Bytes of the kernel's description of a ranking. */
const TASK_BYTES = 128;
const NO_ITEM = 0xffffffff;

export interface RankingRequest {
  workspace: Workspace;
  /** Row-major factors of all rows that queries may name, and of all items; `rank` values a row. */
  queries: Float32Array;
  items: Float32Array;
  rank: number;
  /** The first of them that are looked at; all unless given. */
  dimensions: number;
  /** Rows to be ranked for, in the order of the lists. */
  rows: Uint32Array;
  /** Indices of the items that may be listed. */
  candidates: Uint32Array;
  n: number;
  /** What each row leaves out. */
  leaveOut: SparseRows | null;
  /** Cosines instead of dot products: queries are the items themselves, and none is its own neighbour. */
  cosine: boolean;
  /** Ids of rows and items, for the lists. */
  rowIds: Int32Array;
  itemIds: Int32Array;
  threads: number;
  signal?: AbortSignal;
  onProgress?: (done: number) => void;
}

/** What a ranking works on, all in the engine's memory. */
export interface RankTask {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  rows: Uint32Array;
  queries: Float32Array;
  items: Float32Array;
  lengths: Float64Array | null;
  /** Orthonormal axes of cosines' bounds, a row each; none where their bounds are the vectors themselves. */
  axes: Float64Array | null;
  /** Vectors of the queries, `bounds` values each, whose products with those of the items no score surpasses. */
  queryBounds: Float32Array;
  bounds: number;
  candidates: Uint32Array;
  panels: Float32Array;
  panelItems: Uint32Array;
  blockNorms: Float32Array;
  dimensions: number;
  n: number;
  leaveOut: SparseRows | null;
  listItems: Uint32Array;
  listScores: Float64Array;
  counts: Uint32Array;
  itemIds: Int32Array;
  scratch: number[];
}

/** The exact best items of each row; ties go to the smaller index, which is the smaller id. */
export async function rankItems(request: RankingRequest): Promise<RankedLists> {
  const { workspace, rows, candidates, n, dimensions, cosine, leaveOut, threads, signal } = request;
  const lease = new Lease(workspace, `ranking ${candidates.length} items for ${rows.length} rows`);
  try {
    const panelCount = Math.ceil(candidates.length / PANEL);
    const module = kernelModule();
    const kernel = instantiate(module, workspace.memory);
    const queries = lease.array(Float32Array, (request.queries.length / request.rank) * dimensions);
    copyRows(request.queries, request.rank, queries, dimensions);
    const items = cosine
      ? queries
      : lease.array(Float32Array, (request.items.length / request.rank) * dimensions);
    if (!cosine) copyRows(request.items, request.rank, items, dimensions);
    const axes = cosine ? shortAxes(items, dimensions) : null;
    const bounds = axes === null ? dimensions : axes.length / dimensions + 1;
    const task: RankTask = {
      module,
      memory: workspace.memory,
      rows: lease.array(Uint32Array, rows.length),
      queries,
      items,
      lengths: cosine ? lease.array(Float64Array, items.length / dimensions) : null,
      axes,
      queryBounds: cosine ? lease.array(Float32Array, (items.length / dimensions) * bounds) : queries,
      bounds,
      candidates: lease.array(Uint32Array, candidates.length),
      panels: lease.array(Float32Array, panelCount * PANEL * bounds),
      panelItems: lease.array(Uint32Array, panelCount * PANEL),
      blockNorms: lease.array(Float32Array, Math.ceil(panelCount / PANELS_PER_BLOCK)),
      dimensions,
      n,
      leaveOut,
      listItems: lease.array(Uint32Array, rows.length * n),
      listScores: lease.array(Float64Array, rows.length * n),
      counts: lease.array(Uint32Array, rows.length),
      itemIds: request.itemIds,
      scratch: Array.from({ length: threads }, () =>
        lease.allocate(TASK_BYTES + kernel.rankBytes(QUERIES_PER_CHUNK, bounds)),
      ),
    };
    task.rows.set(rows);
    task.candidates.set(candidates);
    await runThreads('rank', task, { threads, signal, onProgress: request.onProgress });
    return {
      ids: Int32Array.from(rows, (row) => request.rowIds[row]),
      counts: task.counts.slice(),
      capacity: n,
      items: idsIn(task.listItems).slice(),
      scores: task.listScores.slice(),
    };
  } finally {
    lease.free();
  }
}

/** The axes of the cosines' bounds; null where these would not be shorter than the vectors. */
function shortAxes(items: Float32Array, dimensions: number): Float64Array | null {
  const axes = principalAxes(items, dimensions);
  return axes.length / dimensions + 1 < dimensions ? axes : null;
}

/** The places of indices, as those of ids. */
function idsIn({ buffer, byteOffset, length }: Uint32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length);
}

function copyRows(from: Float32Array, rank: number, to: Float32Array, dimensions: number): void {
  if (rank === dimensions) return to.set(from);
  for (let row = 0; row * rank < from.length; row++)
    to.set(from.subarray(row * rank, row * rank + dimensions), row * dimensions);
}

/** One thread's part of a ranking: the first lays out the items, then all take queries. */
export function rankRows(task: RankTask, context: ThreadContext): void {
  const kernel = instantiate(task.module, task.memory);
  if (task.lengths !== null) {
    layOutBounds(task, task.lengths, context);
    barrier(context);
  }
  if (context.thread === 0) layOutPanels(task);
  barrier(context);
  rankChunks(task, kernel, context);
}

/**
 * Lengths, and vectors of length 1. Of these what lies along the axes, and last how long the rest is: the product of two rests is
 * at most that of their lengths (Cauchy and Schwarz), so that few numbers tell of most pairs that they are not near.
 */
function layOutBounds(
  { items, dimensions, axes, bounds, queryBounds }: RankTask,
  lengths: Float64Array,
  context: ThreadContext,
): void {
  const [from, to] = threadRange(lengths.length, context.thread, context.threads);
  for (let item = from; item < to; item++) {
    const vector = items.subarray(item * dimensions, (item + 1) * dimensions);
    const bound = queryBounds.subarray(item * bounds, (item + 1) * bounds);
    let squares = 0;
    for (let d = 0; d < dimensions; d++) squares += vector[d] * vector[d];
    const length = Math.sqrt(squares);
    lengths[item] = length;
    // Not a number where there is no length: such an item is similar to none.
    if (axes === null) for (let d = 0; d < dimensions; d++) bound[d] = vector[d] / length;
    else layOutBound(vector, length, axes, bound);
  }
}

function layOutBound(vector: Float32Array, length: number, axes: Float64Array, bound: Float32Array): void {
  const dimensions = vector.length;
  let rest = 1;
  for (let axis = 0; axis < bound.length - 1; axis++) {
    let along = 0;
    for (let d = 0; d < dimensions; d++) along += vector[d] * axes[axis * dimensions + d];
    along /= length;
    bound[axis] = along;
    rest -= along * along;
  }
  // Rounding may leave less than nothing. What the root makes of it is far within the margin of the comparison.
  bound[bound.length - 1] = Math.sqrt(Math.max(0, rest));
}

/**
 * Items by descending norm: a query whose list no norm of what is left can enter is done (Cauchy and Schwarz), and
 * those that come first lift the threshold early. Items without a direction are left out of cosines.
 */
function layOutPanels(task: RankTask): void {
  const { items, dimensions, lengths, queryBounds, bounds, candidates, panels, panelItems, blockNorms } =
    task;
  const norms = new Float64Array(items.length / dimensions);
  for (const item of candidates) {
    let squares = 0;
    for (let at = item * dimensions; at < (item + 1) * dimensions; at++) squares += items[at] * items[at];
    norms[item] = Math.sqrt(squares);
  }
  const listed = lengths === null ? candidates : candidates.filter((item) => norms[item] > 0);
  const order = lengths === null ? listed.slice().sort((a, b) => norms[b] - norms[a] || a - b) : listed;
  const laid = lengths === null ? items : queryBounds;
  panelItems.fill(NO_ITEM);
  panels.fill(0);
  panelItems.set(order);
  order.forEach((item, place) => {
    const lane = Math.floor(place / PANEL) * PANEL * bounds + (place % PANEL);
    for (let i = 0; i < bounds; i++) panels[lane + i * PANEL] = laid[item * bounds + i];
  });
  for (let block = 0; block < blockNorms.length; block++) {
    const first = order.at(block * PANELS_PER_BLOCK * PANEL);
    // Rounded up: a bound.
    blockNorms[block] =
      lengths === null ? (first === undefined ? 0 : norms[first] * (1 + 2 ** -22)) : 1 + 2 ** -22;
  }
}

function rankChunks(task: RankTask, kernel: Kernel, context: ThreadContext): void {
  const { memory, leaveOut, lengths, dimensions, n, rows } = task;
  const at = task.scratch[context.thread];
  writeFields(memory, at, [
    rows.byteOffset,
    task.queries.byteOffset,
    task.items.byteOffset,
    lengths?.byteOffset ?? 0,
    lengths?.byteOffset ?? 0,
    task.queryBounds.byteOffset,
    task.panels.byteOffset,
    task.panelItems.byteOffset,
    task.blockNorms.byteOffset,
    task.panelItems.length / PANEL,
    PANELS_PER_BLOCK,
    dimensions,
    task.bounds,
    n,
    leaveOut?.starts.byteOffset ?? 0,
    leaveOut?.columns.byteOffset ?? 0,
    leaveOut?.columns.BYTES_PER_ELEMENT === 4 ? 1 : 0,
    task.listItems.byteOffset,
    task.listScores.byteOffset,
    task.counts.byteOffset,
    // Twice the bound of Higham (2002), "Accuracy and Stability of Numerical Algorithms", section 3.1: it also covers
    // the rounding of the threshold itself and of a cosine's normalised vectors.
    { float: 2 * (dimensions + 4) * 2 ** -24 },
  ]);
  const chunks = Math.ceil(rows.length / QUERIES_PER_CHUNK);
  for (let chunk = nextChunk(context, chunks); chunk >= 0; chunk = nextChunk(context, chunks)) {
    const from = chunk * QUERIES_PER_CHUNK;
    const to = Math.min(rows.length, from + QUERIES_PER_CHUNK);
    kernel.rankQueries(at, from, to, at + TASK_BYTES);
    nameItems(task, from, to);
    if (chunk % 64 === 0) context.progress(from);
  }
}

/** Turns the indices in finished lists into ids, in place. */
function nameItems({ listItems, counts, itemIds, n }: RankTask, from: number, to: number): void {
  const ids = idsIn(listItems);
  for (let query = from; query < to; query++) {
    for (let at = query * n; at < query * n + counts[query]; at++) ids[at] = itemIds[listItems[at]];
  }
}

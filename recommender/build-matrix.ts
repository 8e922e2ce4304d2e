/** The work of `buildRatingMatrix`, on its threads. */

import { indexIds } from './ids.ts';
import { type TypedArrayClass as Class, Workspace } from './memory.ts';
import type { BuildTask, BuiltMatrix, SparseRows } from './ratings.ts';
import { type Survey, surveyRatings } from './survey-ratings.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { barrier } from './threads/sharing.ts';

const LARGEST_16_BIT = 1 << 16;

/**
 * One thread's part of building a matrix. Threads read what they like and write rows of their own, each in the order in
 * which a single thread would: the bits do not depend on their number. The first gives the matrix.
 */
export function buildMatrix(task: BuildTask, context: ThreadContext): BuiltMatrix | null {
  const { users, items, ratings } = task;
  if (ratings.length === 0) throw new Error('no ratings: a model needs at least one');
  const isFirst = context.thread === 0;
  const isLast = context.thread === context.threads - 1;
  const survey = surveyRatings(task, task.findings, context);
  // Ids are a thread's work for each side: its table is no other's.
  const counts = new Uint32Array(task.idCounts);
  const userIndex = isFirst ? indexIds(users) : null;
  const itemIndex = isLast ? indexIds(items) : null;
  if (userIndex !== null) counts[0] = userIndex.ids.length;
  if (itemIndex !== null) counts[1] = itemIndex.ids.length;
  barrier(context);
  const matrix = layOutTogether(task, survey, counts, context);
  const { userIds, itemIds, byUser, byItem, scale } = matrix;
  if (userIndex !== null) {
    userIds.set(userIndex.ids);
    // In place: the columns are used up.
    userIndex.replace(users);
    countRows(byUser.starts, users);
  }
  if (itemIndex !== null) {
    itemIds.set(itemIndex.ids);
    itemIndex.replace(items);
    countRows(byItem.starts, items);
  }
  barrier(context);
  // By user in any order, by item through the users in order, and back: both sides come out with ascending columns. By user
  // first, because that is about how they come: they are written where the last ones were.
  scatter(byUser, ownRows(byUser.starts, context), users, items, survey.code, ratings);
  // From here on the columns are not read any more: two of them hold the other side.
  barrier(context);
  transpose(byUser, byItem, ownRows(byItem.starts, context));
  barrier(context);
  transposeBack(byItem, byUser, ownRows(byUser.starts, context));
  barrier(context);
  // Both in the matrix's own order, whatever the number of threads: side by side.
  if (isLast) assertDistinct(byUser, userIds, itemIds);
  if (!isFirst) return null;
  return { ...matrix, mean: meanOf(byUser, scale) };
}

type Layout = Omit<BuiltMatrix, 'mean'>;

/** The first thread takes the memory; the others, after it, find the same places without any growth. */
function layOutTogether(
  task: BuildTask,
  survey: Survey,
  counts: Uint32Array,
  context: ThreadContext,
): Layout {
  const isFirst = context.thread === 0;
  const first = isFirst ? layOut(task, survey, counts) : null;
  if (first !== null) first.scale?.set(survey.scale ?? []);
  barrier(context);
  if (first !== null) return first;
  // When a thread sees how far another has grown a memory is up to V8; by growing it, even by nothing, it does.
  task.memory.grow(0);
  return layOut(task, survey, counts);
}

/** The same requests find the same gaps, whichever thread asks. */
function layOut(
  { memory, regions, items, ratings }: BuildTask,
  { scale }: Survey,
  [userCount, itemCount]: Uint32Array,
): Layout {
  const workspace = new Workspace(memory);
  workspace.adopt(regions);
  const what = `a matrix of ${ratings.length.toLocaleString('en')} ratings`;
  const Values: Class<Uint8Array | Float32Array> = scale === null ? Float32Array : Uint8Array;
  const ownScale = scale === null ? null : workspace.array(Float32Array, scale.length, what);
  const userIds = workspace.array(Int32Array, userCount, what);
  const itemIds = workspace.array(Int32Array, itemCount, what);
  const byUser: SparseRows = {
    starts: workspace.array(Uint32Array, userCount + 1, what),
    columns: workspace.array(columnsFor(itemCount), ratings.length, what),
    values: workspace.array(Values, ratings.length, what),
  };
  const byItem: SparseRows = {
    starts: workspace.array(Uint32Array, itemCount + 1, what),
    columns: new (columnsFor(userCount))(memory.buffer, items.byteOffset, ratings.length),
    values: new Values(memory.buffer, ratings.byteOffset, ratings.length),
  };
  return { userIds, itemIds, byUser, byItem, scale: ownScale, regions: workspace.regions };
}

function columnsFor(count: number): Class<Uint16Array | Uint32Array> {
  return count <= LARGEST_16_BIT ? Uint16Array : Uint32Array;
}

/** Row pointers from the row of each rating. */
function countRows(starts: Uint32Array, rows: Int32Array): void {
  starts.fill(0);
  for (let at = 0; at < rows.length; at++) starts[rows[at] + 1]++;
  for (let row = 1; row < starts.length; row++) starts[row] += starts[row - 1];
}

/** Rows [from, to) that a thread writes. */
interface Range {
  from: number;
  to: number;
}

/** About equally many ratings for each thread. */
function ownRows(starts: Uint32Array, { thread, threads }: ThreadContext): Range {
  const rows = starts.length - 1;
  const border = (of: number): number =>
    of === threads ? rows : firstFrom(starts, 0, rows, (starts[rows] * of) / threads);
  return { from: border(thread), to: border(thread + 1) };
}

/** Index of the first of ascending values in [low, high) that is not below `least`, or `high`. */
function firstFrom(values: Uint16Array | Uint32Array, low: number, high: number, least: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

function scatter(
  to: SparseRows,
  range: Range,
  rows: Int32Array,
  columns: Int32Array,
  code: (rating: number) => number,
  ratings: Float32Array,
): void {
  const { from, to: end } = range;
  const next = to.starts.slice(from, end);
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    if (row < from || row >= end) continue;
    const place = next[row - from]++;
    to.columns[place] = columns[at];
    to.values[place] = code(ratings[at]);
  }
}

/** Fills rows of `to` from the other side, row by row: their columns ascend. */
function transpose(from: SparseRows, to: SparseRows, range: Range): void {
  const { from: first, to: end } = range;
  const next = to.starts.slice(first, end);
  for (let row = 0; row + 1 < from.starts.length; row++) {
    for (let at = from.starts[row]; at < from.starts[row + 1]; at++) {
      const target = from.columns[at];
      if (target < first || target >= end) continue;
      const place = next[target - first]++;
      to.columns[place] = row;
      to.values[place] = from.values[at];
    }
  }
}

/** The same from a side whose columns ascend: a thread's own lie together in each row. */
function transposeBack(from: SparseRows, to: SparseRows, range: Range): void {
  const next = to.starts.slice(range.from, range.to);
  for (let row = 0; row + 1 < from.starts.length; row++) {
    const end = from.starts[row + 1];
    for (let at = firstFrom(from.columns, from.starts[row], end, range.from); at < end; at++) {
      const target = from.columns[at] - range.from;
      if (target >= next.length) break;
      const place = next[target]++;
      to.columns[place] = row;
      to.values[place] = from.values[at];
    }
  }
}

/** In the matrix's own order, so that it does not depend on the order in which ratings came. */
function meanOf({ values }: SparseRows, scale: Float32Array | null): number {
  let sum = 0;
  if (scale === null) for (let at = 0; at < values.length; at++) sum += values[at];
  else for (let at = 0; at < values.length; at++) sum += scale[values[at]];
  return sum / values.length;
}

function assertDistinct({ starts, columns }: SparseRows, userIds: Int32Array, itemIds: Int32Array): void {
  for (let user = 0; user + 1 < starts.length; user++) {
    for (let at = starts[user] + 1; at < starts[user + 1]; at++) {
      if (columns[at] === columns[at - 1]) {
        throw new Error(
          `user ${userIds[user]} has two ratings for item ${itemIds[columns[at]]}, expected one`,
        );
      }
    }
  }
}

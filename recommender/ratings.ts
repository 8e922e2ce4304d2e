import { runThreads } from './threads/pool.ts';

/** Ratings as three columns, in any order: any 32-bit ids, any finite scale. */
export interface RatingTriples {
  users: Int32Array;
  items: Int32Array;
  ratings: Float32Array;
}

/** One side of the matrix in compressed sparse rows: row r holds `columns[starts[r] … starts[r + 1])`. */
export interface SparseRows {
  starts: Uint32Array;
  /** Dense indices of the other side, ascending within a row. */
  columns: Uint32Array;
  values: Float32Array;
}

/** Ratings by user and by item, over shared memory. Ids ascend, so a smaller index is a smaller id. */
export interface RatingMatrix {
  userIds: Int32Array;
  itemIds: Int32Array;
  byUser: SparseRows;
  byItem: SparseRows;
}

/**
 * Builds the matrix in a thread.
 * @throws where there are no ratings, a rating is not finite, or a (user, item) pair stands twice
 */
export async function buildRatingMatrix(triples: RatingTriples, signal?: AbortSignal): Promise<RatingMatrix> {
  const [matrix] = await runThreads<RatingMatrix>('matrix', triples, { threads: 1, signal });
  return matrix;
}

function shared<T>(make: (buffer: SharedArrayBuffer) => T, bytes: number): T {
  return make(new SharedArrayBuffer(bytes));
}

function distinctSorted(ids: Int32Array): Int32Array {
  const sorted = ids.slice().sort();
  let count = 0;
  for (let at = 0; at < sorted.length; at++) {
    if (at === 0 || sorted[at] !== sorted[at - 1]) sorted[count++] = sorted[at];
  }
  const distinct = shared((buffer) => new Int32Array(buffer), count * 4);
  distinct.set(sorted.subarray(0, count));
  return distinct;
}

/** Dense index of each id: a table where the ids are close together, else by bisection. */
function denseIndices(ids: Int32Array, distinct: Int32Array): Uint32Array {
  const indices = new Uint32Array(ids.length);
  const first = distinct[0];
  const span = distinct[distinct.length - 1] - first + 1;
  // A table of up to 256 MB is cheaper than 25 million bisections.
  if (span <= 1 << 26) {
    const table = new Uint32Array(span);
    for (let index = 0; index < distinct.length; index++) table[distinct[index] - first] = index;
    for (let row = 0; row < ids.length; row++) indices[row] = table[ids[row] - first];
    return indices;
  }
  for (let row = 0; row < ids.length; row++) indices[row] = bisect(distinct, ids[row]);
  return indices;
}

/** Index of `id` in ascending `ids`, or -1. */
export function bisect(ids: Int32Array, id: number): number {
  let low = 0;
  let high = ids.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (ids[middle] === id) return middle;
    if (ids[middle] < id) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Counting sort into rows; stable, so columns ascend where the input's columns ascend within a row. */
function toRows(count: number, rows: Uint32Array, columns: Uint32Array, values: Float32Array): SparseRows {
  const starts = shared((buffer) => new Uint32Array(buffer), (count + 1) * 4);
  for (let at = 0; at < rows.length; at++) starts[rows[at] + 1]++;
  for (let row = 0; row < count; row++) starts[row + 1] += starts[row];
  const next = starts.slice(0, count);
  const sorted = {
    starts,
    columns: shared((buffer) => new Uint32Array(buffer), rows.length * 4),
    values: shared((buffer) => new Float32Array(buffer), rows.length * 4),
  };
  for (let at = 0; at < rows.length; at++) {
    const to = next[rows[at]]++;
    sorted.columns[to] = columns[at];
    sorted.values[to] = values[at];
  }
  return sorted;
}

/** Row of each entry of `rows`, in order. */
function rowIndices({ starts, columns }: SparseRows): Uint32Array {
  const indices = new Uint32Array(columns.length);
  for (let row = 0; row + 1 < starts.length; row++) indices.fill(row, starts[row], starts[row + 1]);
  return indices;
}

/** The work of `buildRatingMatrix`, on the thread. */
export function buildMatrix({ users, items, ratings }: RatingTriples): RatingMatrix {
  if (ratings.length === 0) throw new Error('no ratings: a model needs at least one');
  for (let row = 0; row < ratings.length; row++) {
    if (!Number.isFinite(ratings[row])) {
      throw new Error(
        `rating of user ${users[row]} for item ${items[row]} is ${ratings[row]}, expected a finite number`,
      );
    }
  }
  const userIds = distinctSorted(users);
  const itemIds = distinctSorted(items);
  const userIndices = denseIndices(users, userIds);
  const itemIndices = denseIndices(items, itemIds);
  // By item first, then by user through the items in order: both sides come out with ascending columns.
  const rough = toRows(itemIds.length, itemIndices, userIndices, ratings);
  const byUser = toRows(userIds.length, rough.columns, rowIndices(rough), rough.values);
  const byItem = toRows(itemIds.length, byUser.columns, rowIndices(byUser), byUser.values);
  for (let user = 0; user < userIds.length; user++) {
    for (let at = byUser.starts[user] + 1; at < byUser.starts[user + 1]; at++) {
      if (byUser.columns[at] === byUser.columns[at - 1]) {
        throw new Error(
          `user ${userIds[user]} has two ratings for item ${itemIds[byUser.columns[at]]}, expected one`,
        );
      }
    }
  }
  return { userIds, itemIds, byUser, byItem };
}

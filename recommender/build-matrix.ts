/** The work of `buildRatingMatrix`, on its thread. */

import { indexIds } from './ids.ts';
import { type TypedArrayClass as Class, Workspace } from './memory.ts';
import { type BuildTask, type BuiltMatrix, type SparseRows, ratingAt } from './ratings.ts';

const LARGEST_SCALE = 256;
const LARGEST_16_BIT = 1 << 16;

export function buildMatrix({ memory, regions, users, items, ratings }: BuildTask): BuiltMatrix {
  if (ratings.length === 0) throw new Error('no ratings: a model needs at least one');
  const workspace = new Workspace(memory);
  workspace.adopt(regions);
  const what = `a matrix of ${ratings.length.toLocaleString('en')} ratings`;
  const survey = surveyRatings(users, items, ratings);
  const scale = survey.scale === null ? null : workspace.array(Float32Array, survey.scale.length, what);
  scale?.set(survey.scale ?? []);

  const userIndex = indexIds(users);
  const itemIndex = indexIds(items);
  const userIds = workspace.array(Int32Array, userIndex.ids.length, what);
  const itemIds = workspace.array(Int32Array, itemIndex.ids.length, what);
  userIds.set(userIndex.ids);
  itemIds.set(itemIndex.ids);
  // In place: the columns are used up.
  userIndex.replace(users);
  itemIndex.replace(items);

  const Columns = (ids: Int32Array): Class<Uint16Array | Uint32Array> =>
    ids.length <= LARGEST_16_BIT ? Uint16Array : Uint32Array;
  const Values: Class<Uint8Array | Float32Array> = scale === null ? Float32Array : Uint8Array;
  const byItem: SparseRows = {
    starts: workspace.array(Uint32Array, itemIds.length + 1, what),
    columns: workspace.array(Columns(userIds), ratings.length, what),
    values: workspace.array(Values, ratings.length, what),
  };
  countRows(byItem.starts, items);
  const userStarts = workspace.array(Uint32Array, userIds.length + 1, what);
  countRows(userStarts, users);
  // By item in any order, by user through the items in order, and back: both sides come out with ascending columns.
  scatter(byItem, items, users, survey.code, ratings);
  // From here on the columns are not read any more: two of them hold the other side.
  const byUser: SparseRows = {
    starts: userStarts,
    columns: new (Columns(itemIds))(memory.buffer, items.byteOffset, ratings.length),
    values: new Values(memory.buffer, ratings.byteOffset, ratings.length),
  };
  transpose(byItem, byUser);
  transpose(byUser, byItem);
  assertDistinct(byUser, userIds, itemIds);
  const mean = meanOf(byUser, scale);
  return { userIds, itemIds, byUser, byItem, scale, mean, regions: workspace.regions };
}

interface Survey {
  scale: Float32Array | null;
  /** What stands in `values` for a rating. */
  code: (rating: number) => number;
}

/** Looks at every rating once: finite, and how many distinct ones. */
function surveyRatings(users: Int32Array, items: Int32Array, ratings: Float32Array): Survey {
  const known = new Map<number, number>();
  let last = Number.NaN;
  for (let row = 0; row < ratings.length; row++) {
    const rating = ratings[row];
    if (!Number.isFinite(rating)) {
      throw new Error(
        `rating of user ${users[row]} for item ${items[row]} is ${rating}, expected a finite number`,
      );
    }
    if (rating === last || known.size > LARGEST_SCALE) continue;
    last = rating;
    if (!known.has(rating)) known.set(rating, 0);
  }
  if (known.size > LARGEST_SCALE) return { scale: null, code: (rating) => rating };
  const scale = Float32Array.from(known.keys()).sort();
  scale.forEach((rating, code) => known.set(rating, code));
  return { scale, code: coder(scale, known) };
}

/** Codes of ratings: by arithmetic where they are halves of small whole numbers, as stars are. */
function coder(scale: Float32Array, codes: Map<number, number>): (rating: number) => number {
  const HALVES = 512;
  if (!scale.every((rating) => rating >= 0 && rating * 2 < HALVES && Number.isInteger(rating * 2)))
    return (rating) => codes.get(rating) ?? 0;
  const table = new Uint8Array(HALVES);
  scale.forEach((rating, code) => (table[rating * 2] = code));
  return (rating) => table[rating * 2];
}

/** Row pointers from the row of each rating. */
function countRows(starts: Uint32Array, rows: Int32Array): void {
  starts.fill(0);
  for (let at = 0; at < rows.length; at++) starts[rows[at] + 1]++;
  for (let row = 1; row < starts.length; row++) starts[row] += starts[row - 1];
}

function scatter(
  to: SparseRows,
  rows: Int32Array,
  columns: Int32Array,
  code: (rating: number) => number,
  ratings: Float32Array,
): void {
  const next = to.starts.slice();
  for (let at = 0; at < rows.length; at++) {
    const place = next[rows[at]]++;
    to.columns[place] = columns[at];
    to.values[place] = code(ratings[at]);
  }
}

/** Fills `to` from the other side, row by row: its columns ascend. */
function transpose(from: SparseRows, to: SparseRows): void {
  const next = to.starts.slice();
  for (let row = 0; row + 1 < from.starts.length; row++) {
    for (let at = from.starts[row]; at < from.starts[row + 1]; at++) {
      const place = next[from.columns[at]]++;
      to.columns[place] = row;
      to.values[place] = from.values[at];
    }
  }
}

/** In the matrix's own order, so that it does not depend on the order in which ratings came. */
function meanOf(rows: SparseRows, scale: Float32Array | null): number {
  let sum = 0;
  for (let at = 0; at < rows.values.length; at++) sum += ratingAt(rows, scale, at);
  return sum / rows.values.length;
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

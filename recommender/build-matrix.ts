/** The work of `buildRatingMatrix`, on its thread. */

import { indexIds } from './ids.ts';
import { type TypedArrayClass as Class, Workspace } from './memory.ts';
import type { BuildTask, BuiltMatrix, SparseRows } from './ratings.ts';

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
  const byUser: SparseRows = {
    starts: workspace.array(Uint32Array, userIds.length + 1, what),
    columns: workspace.array(Columns(itemIds), ratings.length, what),
    values: workspace.array(Values, ratings.length, what),
  };
  countRows(byUser.starts, users);
  const itemStarts = workspace.array(Uint32Array, itemIds.length + 1, what);
  countRows(itemStarts, items);
  // By user in any order, by item through the users in order, and back: both sides come out with ascending columns. By user
  // first, because that is about how they come: they are written where the last ones were.
  scatter(byUser, users, items, survey.code, ratings);
  // From here on the columns are not read any more: two of them hold the other side.
  const byItem: SparseRows = {
    starts: itemStarts,
    columns: new (Columns(userIds))(memory.buffer, items.byteOffset, ratings.length),
    values: new Values(memory.buffer, ratings.byteOffset, ratings.length),
  };
  transpose(byUser, byItem);
  transpose(byItem, byUser);
  assertDistinct(byUser, userIds, itemIds);
  const mean = meanOf(byUser, scale);
  return { userIds, itemIds, byUser, byItem, scale, mean, regions: workspace.regions };
}

interface Survey {
  scale: Float32Array | null;
  /** What stands in `values` for a rating. */
  code: (rating: number) => number;
}

/** Below this, halves of whole numbers are known by their place in a table. */
const HALVES = 512;

/** Twice a rating that is one of those, as stars are; -1 of any other. */
function halves(rating: number): number {
  const twice = rating * 2;
  return twice >= 0 && twice < HALVES && twice === Math.trunc(twice) ? twice : -1;
}

/** Looks at every rating once: finite, and how many distinct ones. */
function surveyRatings(users: Int32Array, items: Int32Array, ratings: Float32Array): Survey {
  const seen = new Uint8Array(HALVES);
  const distinct = new Set<number>();
  for (let row = 0; row < ratings.length; row++) {
    const rating = ratings[row];
    const twice = halves(rating);
    if (twice >= 0) {
      seen[twice] = 1;
      continue;
    }
    if (!Number.isFinite(rating)) {
      throw new Error(
        `rating of user ${users[row]} for item ${items[row]} is ${rating}, expected a finite number`,
      );
    }
    if (distinct.size <= LARGEST_SCALE) distinct.add(rating);
  }
  seen.forEach((is, twice) => is === 1 && distinct.add(twice / 2));
  if (distinct.size > LARGEST_SCALE) return { scale: null, code: (rating) => rating };
  const scale = Float32Array.from(distinct).sort();
  const codes = new Map<number, number>();
  const table = new Uint8Array(HALVES);
  scale.forEach((rating, code) => {
    codes.set(rating, code);
    if (halves(rating) >= 0) table[rating * 2] = code;
  });
  return {
    scale,
    code: scale.every((rating) => halves(rating) >= 0)
      ? (rating) => table[rating * 2]
      : (rating) => codes.get(rating) ?? 0,
  };
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

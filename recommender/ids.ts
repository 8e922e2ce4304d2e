/** Dense indices of ids: rows of factors belong to ascending ids. */

/** Ids this close together are looked up in a table; it takes 64 MB at most. */
const LARGEST_SPAN = 1 << 24;

export interface IdIndex {
  /** Distinct, ascending. */
  ids: Int32Array;
  /** Puts each id's index in its place; all must be known. */
  replace(column: Int32Array): void;
}

/** Finds the distinct ids of a column. */
export function indexIds(column: Int32Array): IdIndex {
  let first = column[0];
  let last = column[0];
  for (let row = 1; row < column.length; row++) {
    if (column[row] < first) first = column[row];
    else if (column[row] > last) last = column[row];
  }
  if (last - first < LARGEST_SPAN) return indexByTable(column, first, last);
  const sorted = column.slice().sort();
  let count = 0;
  for (let at = 0; at < sorted.length; at++) {
    if (at === 0 || sorted[at] !== sorted[at - 1]) sorted[count++] = sorted[at];
  }
  const ids = sorted.slice(0, count);
  return { ids, replace: (all) => all.forEach((id, row) => (all[row] = bisect(ids, id))) };
}

function indexByTable(column: Int32Array, first: number, last: number): IdIndex {
  const table = new Int32Array(last - first + 1);
  for (let row = 0; row < column.length; row++) table[column[row] - first] = 1;
  let count = 0;
  for (let at = 0; at < table.length; at++)
    if (table[at] === 1) table[at] = count++;
    else table[at] = -1;
  const ids = new Int32Array(count);
  for (let at = 0; at < table.length; at++) if (table[at] >= 0) ids[table[at]] = first + at;
  return {
    ids,
    replace(all) {
      for (let row = 0; row < all.length; row++) all[row] = table[all[row] - first];
    },
  };
}

/** Looks ids up among ascending ones: their index, or -1. */
export function createLookup(ids: Int32Array): (id: number) => number {
  const first = ids[0];
  const span = ids.length === 0 ? 0 : ids[ids.length - 1] - first + 1;
  if (span > LARGEST_SPAN) return (id) => bisect(ids, id);
  const table = new Int32Array(span).fill(-1);
  ids.forEach((id, index) => (table[id - first] = index));
  return (id) => (id >= first && id - first < span ? table[id - first] : -1);
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

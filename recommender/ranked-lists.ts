/** Ranked lists of equal capacity, one a row, as flat arrays. */

export interface RankedLists {
  /** Ids that the lists belong to. */
  ids: Int32Array;
  /** Entries of each list; the rest of its places is unused. */
  counts: Uint32Array;
  /** Row-major, `capacity` places a list, best first. */
  capacity: number;
  items: Int32Array;
  scores: Float64Array;
}

/** The range of `rows` that a thread takes, by equal numbers. */
export function threadRange(rows: number, thread: number, threads: number): [number, number] {
  return [Math.floor((rows * thread) / threads), Math.floor((rows * (thread + 1)) / threads)];
}

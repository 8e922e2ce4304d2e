/** Rows that are solved side by side, so that several gather from one tile of the other side while it is near the processor. */

import type { Layout } from './als.ts';

export interface Bands {
  /** Rows with at least `heavy` ratings, those with the most first; band i has the `bounds[i]`th to, without it, the `bounds[i + 1]`th. */
  rows: Uint32Array;
  bounds: number[];
  heavy: number;
  /** Rows of the other side that are gathered from at a time. */
  tile: number;
}

/** A thread's tile and what is summed of it are to stay in the second cache, of which two threads of one core have half a megabyte each. */
const TILE_BYTES = 1 << 18;

/** With fewer the other side is small enough to stay in the caches by itself. */
const LEAST_TILES = 4;

/** Of a row in bands, on the average: a tile's part of the sums is added to memory once. */
const RATINGS_PER_TILE = 32;

/** How often a band gathers a row of the other side, on the average, and the most rows that it has. */
const VISITS = 10;
const LARGEST_BAND = 256;

/** Floats: rows that are longer need more arithmetic than gathering, and their equations no cache holds. */
const LONGEST_ROW = 64;

/**
 * The bands of a side; null where they would not pay. They follow from the ratings alone, not from the threads.
 * @param starts row starts of the side
 * @param others rows of the other side
 */
export function bandsOf(starts: Uint32Array, others: number, { stride }: Layout): Bands | null {
  const tile = Math.floor(TILE_BYTES / (stride * 4));
  const tiles = Math.ceil(others / tile);
  if (tiles < LEAST_TILES || stride > LONGEST_ROW) return null;
  const heavy = tiles * RATINGS_PER_TILE;
  const ratings = (row: number): number => starts[row + 1] - starts[row];
  const rows = Uint32Array.from(starts.subarray(1).keys())
    .filter((row) => ratings(row) >= heavy)
    .sort((a, b) => ratings(b) - ratings(a) || a - b);
  const bounds = [0];
  let gathered = 0;
  rows.forEach((row, at) => {
    gathered += ratings(row);
    const isFull = gathered >= VISITS * others || at + 1 - bounds[bounds.length - 1] === LARGEST_BAND;
    if (!isFull && at + 1 < rows.length) return;
    bounds.push(at + 1);
    gathered = 0;
  });
  return { rows, bounds, heavy, tile };
}

/** Rows of the largest band. */
export function bandSize({ bounds }: Bands): number {
  return bounds.slice(1).reduce((most, to, at) => Math.max(most, to - bounds[at]), 0);
}

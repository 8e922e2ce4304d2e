/** Ratings of the shape of MovieLens straight into columns: no database, twelve bytes a rating. */

import { createRatingDraw } from '../data/draw-ratings.ts';
import { RatingColumns, type RatingTriples } from '../recommender/index.ts';
import { runThread } from './threads.ts';

const SEED = 42;

/**
 * Draws the ratings that `npm run data -- generate` draws, on a thread, in the engine's memory. The same number gives
 * the same ratings.
 * @param ratings at least 1,000
 */
export async function synthesiseRatings(ratings: number): Promise<RatingColumns> {
  const columns = new RatingColumns(ratings);
  const { users, items, ratings: stars } = columns;
  await runThread('synthetic-ratings', { users, items, ratings: stars } satisfies RatingTriples);
  return columns;
}

/** The work of `synthesiseRatings`, on the thread: fills the columns. */
export function drawRatings(columns: RatingTriples): void {
  const { block, fills } = createRatingDraw({ ratings: columns.users.length, seed: SEED, end: 0 });
  let first = 0;
  for (const rows of fills) {
    columns.users.set(block.users.subarray(0, rows), first);
    columns.items.set(block.movies.subarray(0, rows), first);
    columns.ratings.set(block.ratings.subarray(0, rows), first);
    first += rows;
  }
}

import { expect, test } from 'vitest';
import { createRatingDraw } from '../data/draw-ratings.ts';
import { synthesiseRatings } from './synthetic-ratings.ts';

test('the ratings that the generator draws, in its order', async () => {
  const { users, items, ratings } = await synthesiseRatings(20_000);
  const { block, fills } = createRatingDraw({ ratings: 20_000, seed: 42, end: 0 });
  let row = 0;
  for (const rows of fills) {
    for (let at = 0; at < rows; at++, row++) {
      if (
        users[row] !== block.users[at] ||
        items[row] !== block.movies[at] ||
        ratings[row] !== block.ratings[at]
      )
        throw new Error(`row ${row} differs`);
    }
  }
  expect([users.length, items.length, ratings.length]).toEqual([row, row, row]);
});

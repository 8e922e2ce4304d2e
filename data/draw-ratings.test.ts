import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type DrawOptions, createRatingDraw } from './draw-ratings.ts';
import { shapeOf } from './rating-shape.ts';

const END = Date.parse('2026-01-31') / 1000;
const MONTH = 30 * 86_400;

interface Drawn {
  users: number[];
  movies: number[];
  ratings: number[];
  seconds: number[];
  truthRmse: number;
}

function draw(options: DrawOptions): Drawn {
  const { block, fills, truthRmse } = createRatingDraw(options);
  const drawn: Omit<Drawn, 'truthRmse'> = { users: [], movies: [], ratings: [], seconds: [] };
  for (const rows of fills) {
    for (const name of ['users', 'movies', 'ratings', 'seconds'] as const)
      drawn[name] = drawn[name].concat(Array.from(block[name].subarray(0, rows)));
  }
  return { ...drawn, truthRmse: truthRmse() };
}

function countBy(ids: number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

test('25 million ratings have the users and movies of MovieLens 25M', () => {
  expect(shapeOf(25_000_000)).toEqual({ users: 162_541, movies: 59_047 });
});

test.each([1_000, 20_000, 300_000])('%i ratings: the shape that was said, no pair twice', (ratings) => {
  const drawn = draw({ ratings, seed: 42, end: END });
  const shape = shapeOf(ratings);
  expect(drawn.users).toHaveLength(ratings);
  expect(new Set(drawn.users).size).toBe(shape.users);
  expect(new Set(drawn.movies).size).toBe(shape.movies);
  expect(new Set(drawn.users.map((user, row) => user * 65_536 + drawn.movies[row])).size).toBe(ratings);
  expect(drawn.users).toEqual(drawn.users.toSorted((a, b) => a - b));
  expect(drawn.ratings.every((rating) => rating >= 0.5 && rating <= 5 && Number.isInteger(rating * 2))).toBe(
    true,
  );
  expect(drawn.seconds.every((second) => Number.isInteger(second) && second <= END)).toBe(true);
  expect(drawn.seconds.filter((second) => second > END - MONTH).length).toBeGreaterThan(0);
});

test('popularity and activity are long-tailed, and the truth is nearer to the ratings than their mean is', () => {
  const { users, movies, ratings, truthRmse } = draw({ ratings: 300_000, seed: 42, end: END });
  for (const ids of [users, movies]) {
    const counts = [...countBy(ids).values()].sort((a, b) => a - b);
    expect((counts.at(-1) ?? 0) / counts[counts.length >> 1]).toBeGreaterThan(10);
  }
  const mean = ratings.reduce((sum, rating) => sum + rating, 0) / ratings.length;
  const spread = Math.sqrt(ratings.reduce((sum, rating) => sum + (rating - mean) ** 2, 0) / ratings.length);
  expect(truthRmse).toBeGreaterThan(0.7);
  expect(truthRmse).toBeLessThan(spread - 0.2);
});

test('a seed gives the same ratings today and tomorrow, another one others', () => {
  const digest = (seed: number): string =>
    createHash('sha256')
      .update(JSON.stringify(draw({ ratings: 1_000, seed, end: END })))
      .digest('hex')
      .slice(0, 16);
  expect(digest(42)).toBe('4b2ea39484cb7012');
  expect(digest(43)).not.toBe(digest(42));
});

import { expect, test } from 'vitest';
import { synthesiseRatings, syntheticShape } from './synthetic-ratings.ts';

test('25 million ratings have the users and movies of MovieLens 25M', () => {
  expect(syntheticShape(25_000_000)).toEqual({ users: 162_541, movies: 59_047 });
});

test.each([1_000, 20_000, 300_000])('%i ratings: the shape that was said, no pair twice', async (size) => {
  const { users, items, ratings } = await synthesiseRatings(size);
  const shape = syntheticShape(size);
  expect([users.length, items.length, ratings.length]).toEqual([size, size, size]);
  expect(new Set(users).size).toBe(shape.users);
  expect(new Set(items).size).toBe(shape.movies);
  expect(new Set(users.map((user, row) => user * 65_536 + items[row])).size).toBe(size);
  expect(ratings.every((rating) => rating >= 0.5 && rating <= 5 && Number.isInteger(rating * 2))).toBe(true);
});

test('popularity and activity are long-tailed, and the same number gives the same ratings', async () => {
  const [first, again] = [await synthesiseRatings(300_000), await synthesiseRatings(300_000)];
  expect([again.users, again.items, again.ratings]).toEqual([first.users, first.items, first.ratings]);
  for (const ids of [first.users, first.items]) {
    const counts = new Uint32Array(ids.reduce((most, id) => Math.max(most, id)) + 1);
    for (const id of ids) counts[id]++;
    const sorted = counts.filter((count) => count > 0).sort();
    expect(sorted[sorted.length - 1] / sorted[sorted.length >> 1]).toBeGreaterThan(10);
  }
});

import { expect, test } from 'vitest';
import { randomRatings } from '../test/support/ratings.ts';
import {
  type FactorizationConfiguration,
  type RatingTriples,
  buildRatingMatrix,
  foldInUsers,
  recommendFolded,
  recommendTopN,
  trainModel,
} from './index.ts';

const common = { rank: 5, iterations: 4, regularization: 0.1, seed: 3 };

function inOrder({ users, items, ratings }: RatingTriples): RatingTriples {
  const order = Array.from(users.keys()).sort((a, b) => users[a] - users[b] || items[a] - items[b]);
  return {
    users: Int32Array.from(order, (at) => users[at]),
    items: Int32Array.from(order, (at) => items[at]),
    ratings: Float32Array.from(order, (at) => ratings[at]),
  };
}

test.each<FactorizationConfiguration>([
  { family: 'als', ...common },
  { family: 'als-biased', ...common },
  { family: 'als-implicit', ...common, alpha: 1 },
])('users with the factors of a model have its lists: $family', async (configuration) => {
  const triples = inOrder(randomRatings({ users: 60, items: 50, density: 0.3, seed: 9 }));
  const matrix = await buildRatingMatrix(triples);
  const model = await trainModel(matrix, configuration, { threads: 2 });
  const counts = new Map<number, number>();
  for (const item of triples.items) counts.set(item, (counts.get(item) ?? 0) + 1);
  const allowed = new Set([...counts].flatMap(([item, count]) => (count >= 15 ? [item] : [])));
  for (const excludeRated of [true, false]) {
    const options = { n: 10, excludeRated, threads: 2 };
    const expected = await recommendTopN(model, { ...options, ratings: matrix, minimumRatings: 15 });
    const folded = { ids: model.userIds, factors: model.userFactors };
    const found = await recommendFolded(model, folded, triples, { ...options, allowed });
    expect(found).toEqual(expected);
  }
});

test('a stranger among known users, items that the model does not know, and nothing that may be listed', async () => {
  const triples = randomRatings({ users: 30, items: 20, density: 0.5, seed: 2 });
  const model = await trainModel(
    await buildRatingMatrix(triples),
    { family: 'als', ...common },
    { threads: 1 },
  );
  const [first, second] = model.itemIds;
  const ratings = {
    users: Int32Array.of(5, 5, 6, 900, 900),
    items: Int32Array.of(first, 55_555, 55_555, first, second),
    ratings: Float32Array.of(4, 3, 5, 5, 1),
  };
  const folded = await foldInUsers(model, ratings, { threads: 1 });
  // User 6 has rated nothing that the model knows.
  expect(Array.from(folded.ids)).toEqual([5, 900]);
  const options = { n: 50, excludeRated: true, threads: 1 };
  const lists = await recommendFolded(model, folded, ratings, {
    ...options,
    allowed: new Set(model.itemIds),
  });
  expect(Array.from(lists.counts)).toEqual([model.itemIds.length - 1, model.itemIds.length - 2]);
  expect(Array.from(lists.items.subarray(0, lists.counts[0]))).not.toContain(first);
  const none = await recommendFolded(model, folded, ratings, { ...options, allowed: new Set() });
  expect(Array.from(none.counts)).toEqual([0, 0]);
});

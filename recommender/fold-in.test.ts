import { describe, expect, test } from 'vitest';
import { randomRatings } from '../test/support/ratings.ts';
import {
  type FactorizationConfiguration,
  buildRatingMatrix,
  foldInItems,
  foldInUsers,
  predictPairs,
  trainModel,
} from './index.ts';

const common = { rank: 4, iterations: 5, regularization: 0.1, seed: 1 };
const FAMILIES: FactorizationConfiguration[] = [
  { family: 'als', ...common },
  { family: 'als-biased', ...common },
  { family: 'als-implicit', ...common, alpha: 1 },
];

describe.each(FAMILIES)('$family', (configuration) => {
  const triples = randomRatings({ users: 50, items: 40, density: 0.3, seed: 4 });

  test('users who are folded in get what the next half-step would give them', async () => {
    const matrix = await buildRatingMatrix(triples);
    const model = await trainModel(matrix, configuration, { threads: 2 });
    const next = await trainModel(matrix, { ...configuration, iterations: 6 }, { threads: 2 });
    const folded = await foldInUsers(model, triples, { threads: 2 });
    expect(folded.ids).toEqual(model.userIds);
    // Biases go out and in with the mean added and taken off: the last bit may differ.
    folded.factors.forEach((value, at) => expect(value).toBeCloseTo(next.userFactors[at], 4));
  });

  test('items who are folded in keep the factors that they were given from the same users', async () => {
    const matrix = await buildRatingMatrix(triples);
    const model = await trainModel(matrix, configuration, { threads: 2 });
    const folded = await foldInItems(model, triples, { threads: 3 });
    expect(folded.ids).toEqual(model.itemIds);
    folded.factors.forEach((value, at) => expect(value).toBeCloseTo(model.itemFactors[at], 4));
  });

  test('a new user is solved from the items that are known; one who rated none of them has no factors', async () => {
    const matrix = await buildRatingMatrix(triples);
    const model = await trainModel(matrix, configuration, { threads: 2 });
    const known = Array.from(model.itemIds.slice(0, 3));
    const folded = await foldInUsers(
      model,
      {
        users: Int32Array.of(900, 900, 900, 900, 901),
        items: Int32Array.of(...known, 77_777, 77_777),
        ratings: Float32Array.of(5, 4, 1, 3, 3),
      },
      { threads: 1 },
    );
    expect(Array.from(folded.ids)).toEqual([900]);
    expect(folded.factors).toHaveLength(model.rank);
    expect(folded.factors.every(Number.isFinite)).toBe(true);
    const nobody = { users: Int32Array.of(1), items: Int32Array.of(77_777), ratings: Float32Array.of(3) };
    expect((await foldInUsers(model, nobody, { threads: 1 })).ids).toHaveLength(0);
  });
});

test('pairs are predicted by their ids, and strangers are told apart', async () => {
  const matrix = await buildRatingMatrix(randomRatings({ users: 20, items: 20, density: 0.5, seed: 6 }));
  const model = await trainModel(matrix, { family: 'als', ...common }, { threads: 1 });
  const { scores, known } = predictPairs(model, Int32Array.of(3, 99, 3), Int32Array.of(6, 6, 8));
  expect(Array.from(known)).toEqual([1, 0, 0]);
  const user = model.userIds.indexOf(3) * model.rank;
  const item = model.itemIds.indexOf(6) * model.rank;
  let expected = 0;
  for (let i = 0; i < model.rank; i++) expected += model.userFactors[user + i] * model.itemFactors[item + i];
  expect(scores[0]).toBe(expected);
});

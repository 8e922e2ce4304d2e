import { expect, test } from 'vitest';
import { randomRatings } from '../test/support/ratings.ts';
import { type Model, buildRatingMatrix, evaluateModel, holm, pairedBootstrap, trainModel } from './index.ts';

/** Two users, four movies; every user scores movies 1 to 4 as 4, 3, 2, 1. */
async function byHand() {
  const train = await buildRatingMatrix({
    users: Int32Array.of(1, 1, 2, 3, 3),
    items: Int32Array.of(1, 2, 3, 4, 1),
    ratings: Float32Array.of(5, 3, 4, 2, 1),
  });
  const model: Model = {
    configuration: { family: 'als', rank: 1, iterations: 1, regularization: 0.1, seed: 0 },
    rank: 1,
    mean: 3,
    userIds: train.userIds,
    itemIds: train.itemIds,
    userFactors: Float32Array.of(1, 1, 1),
    itemFactors: Float32Array.of(4, 3, 2, 1),
  };
  // User 1 likes movie 3, user 2 likes 1 and dislikes 4; user 9 and movie 8 are unknown to the model.
  const holdout = {
    users: Int32Array.of(1, 2, 2, 9, 3),
    items: Int32Array.of(3, 1, 4, 1, 8),
    ratings: Float32Array.of(5, 4, 2, 3, 4),
  };
  return { train, model, holdout };
}

test('agrees with what is computed by hand', async () => {
  const { train, model, holdout } = await byHand();
  const found = await evaluateModel(model, train, holdout, { k: 2, minimumRatings: 0, threads: 2 });
  // Errors 3, 0 and 1 on three scored pairs; two dropped, whose fallback is the train mean of 3.
  expect(found.predictions).toBe(3);
  expect(found.dropped).toBe(2);
  expect(found.rmse).toBeCloseTo(Math.sqrt(10 / 3), 12);
  expect(found.mae).toBeCloseTo(4 / 3, 12);
  expect(found.rmseWithFallback).toBeCloseTo(Math.sqrt((10 + 0 + 1) / 5), 12);
  expect(found.maeWithFallback).toBeCloseTo((4 + 0 + 1) / 5, 12);
  // Lists of two without train items: user 1 gets 3, 4 (hit first), user 2 gets 1, 2 (hit first); user 3's
  // relevant movie 8 is unknown and cannot be in a list (2, 3).
  expect(found.users).toBe(3);
  expect(found.precision).toBeCloseTo((0.5 + 0.5 + 0) / 3, 12);
  expect(found.recall).toBeCloseTo((1 + 1 + 0) / 3, 12);
  expect(found.ndcg).toBeCloseTo((1 + 1 + 0) / 3, 12);
  expect(found.map).toBeCloseTo((1 + 1 + 0) / 3, 12);
  expect(found.coverage).toBe(1);
});

test('lists of some users are given back as they are, and measure nothing else', async () => {
  const { train, model, holdout } = await byHand();
  const options = { k: 2, minimumRatings: 0, threads: 2 };
  const { lists, ...found } = await evaluateModel(model, train, holdout, {
    ...options,
    sample: { places: 3, users: 2 },
  });
  const { lists: none, ...same } = await evaluateModel(model, train, holdout, options);
  expect(none).toBeNull();
  expect(found).toEqual(same);
  // Every other one of users 1, 2 and 3: what user 1 has not rated, best first; all of the four but 4 and 1.
  expect(lists).toEqual({
    ids: Int32Array.of(1, 3),
    counts: Uint32Array.of(2, 2),
    capacity: 3,
    items: Int32Array.of(3, 4, 0, 2, 3, 0),
  });
});

test('popular predicts no ratings: its RMSE does not apply', async () => {
  const { train, holdout } = await byHand();
  const popular = await trainModel(train, { family: 'popular' }, { threads: 1 });
  const found = await evaluateModel(popular, train, holdout, { k: 2, minimumRatings: 0, threads: 1 });
  expect(found.rmse).toBeNull();
  expect(found.mae).toBeNull();
  expect(found.precision).toBeGreaterThan(0);
});

test('does not depend on the number of threads', async () => {
  const { train, model, holdout } = await byHand();
  const options = { k: 2, minimumRatings: 0 };
  const one = await evaluateModel(model, train, holdout, { ...options, threads: 1 });
  expect(await evaluateModel(model, train, holdout, { ...options, threads: 3 })).toEqual(one);
});

test('the paired interval sees an effect that is the same for all, and none between equals', async () => {
  const counts = new Int32Array(200).fill(3);
  const a = Float64Array.from(counts, (_, user) => 1 + (user % 7));
  const better = a.map((error) => error * 0.95);
  const effect = await pairedBootstrap(
    {
      a,
      b: better,
      counts,
      statistic: 'rmse',
      resamples: 500,
      seed: 1,
    },
    { threads: 2 },
  );
  expect(effect.difference).toBeGreaterThan(0);
  expect(effect.low).toBeGreaterThan(0);
  expect(effect.low).toBeLessThan(effect.difference);
  expect(effect.high).toBeGreaterThan(effect.difference);
  const none = await pairedBootstrap(
    {
      a,
      b: a,
      counts,
      statistic: 'rmse',
      resamples: 500,
      seed: 1,
    },
    { threads: 2 },
  );
  expect(none).toEqual({ difference: 0, low: 0, high: 0, p: 1 });
  const again = await pairedBootstrap(
    {
      a,
      b: better,
      counts,
      statistic: 'rmse',
      resamples: 500,
      seed: 1,
    },
    { threads: 3 },
  );
  expect(again).toEqual(effect);
});

test('no order of the ratings changes a bit of it', async () => {
  const all = randomRatings({ users: 60, items: 50, density: 0.5, seed: 8 });
  // Off the halves, so that sums round.
  const ratings = all.ratings.map((rating, row) => rating + (row % 7) / 10);
  const half = Math.floor(all.users.length / 2);
  const measure = async (turn: (rows: number[]) => number[]) => {
    const pick = (from: number, to: number) => {
      const rows = turn(Array.from({ length: to - from }, (_, at) => from + at));
      return {
        users: Int32Array.from(rows, (row) => all.users[row]),
        items: Int32Array.from(rows, (row) => all.items[row]),
        ratings: Float32Array.from(rows, (row) => ratings[row]),
      };
    };
    const train = await buildRatingMatrix(pick(half, ratings.length));
    const configuration = {
      family: 'als-biased',
      rank: 3,
      iterations: 3,
      regularization: 0.1,
      seed: 1,
    } as const;
    const model = await trainModel(train, configuration, { threads: 2 });
    return evaluateModel(model, train, pick(0, ratings.length), { k: 5, minimumRatings: 0, threads: 2 });
  };
  const found = await measure((rows) => rows);
  expect(found.dropped).toBeGreaterThan(0);
  expect(await measure((rows) => rows.toReversed())).toEqual(found);
});

// By hand: 3 × 0.01, 2 × 0.02 would be 0.04, 1 × 0.5; and none above 1 or below one that came before it.
test("Holm's correction steps down from the smallest p-value", () => {
  expect(holm([0.5, 0.01, 0.02])).toEqual([0.5, 0.03, 0.04]);
  expect(holm([0.02, 0.021])).toEqual([0.04, 0.04]);
  expect(holm([0.9, 0.8])).toEqual([1, 1]);
  expect(holm([])).toEqual([]);
});

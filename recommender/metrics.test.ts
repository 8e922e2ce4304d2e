import { expect, test } from 'vitest';
import { randomRatings } from '../test/support/ratings.ts';
import { poissonWeights, resampleUsers } from './bootstrap.ts';
import { type Model, buildRatingMatrix, evaluateModel, holm, pairedBootstrap, trainModel } from './index.ts';
import { createRandom } from './random.ts';

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

test('the weights of a resample are Poisson(1), as near as 16 bits come', () => {
  const weights = poissonWeights();
  const mean = (of: (weight: number) => number) =>
    weights.reduce((sum, weight) => sum + of(weight), 0) / weights.length;
  expect(mean((weight) => weight)).toBe(1);
  expect(mean((weight) => (weight - 1) ** 2)).toBe(1 - 2 ** -15);
  let probability = Math.exp(-1);
  for (let value = 0, cumulative = probability; value < 12; cumulative += probability) {
    expect(Math.abs(mean((weight) => (weight <= value ? 1 : 0)) - cumulative)).toBeLessThan(2 ** -17);
    probability /= ++value;
  }
});

/** sfc32 as PractRand has it, from a state. */
function sfc32([a, b, c]: number[]): () => number {
  let counter = 1;
  return () => {
    const result = (a + b + counter++) >>> 0;
    [a, b, c] = [b ^ (b >>> 9), (c + (c << 3)) >>> 0, (((c << 21) | (c >>> 11)) + result) >>> 0];
    return result;
  };
}

// An odd number of users, and more than are passed over at a time.
test('each resample is what its own numbers weigh, user after user', () => {
  const users = 1_301;
  const random = createRandom(3);
  const values = Float64Array.from({ length: 3 * users }, (_, at) => (at % 3 === 2 ? 1 : 0) + (random() % 9));
  const weights = poissonWeights();
  const byHand = Float64Array.of(10, 11, 12).map((seed) => {
    const seeds = createRandom(seed);
    const next = sfc32([seeds(), seeds(), seeds()]);
    const sums = [0, 0, 0];
    for (let user = 0, output = 0; user < users; user++) {
      output = user % 2 === 0 ? next() : output >>> 16;
      for (let field = 0; field < 3; field++)
        sums[field] += weights[output % 65_536] * values[user * 3 + field];
    }
    return sums[0] / sums[2] - sums[1] / sums[2];
  });
  const task = { values, statistic: 'mean', resamples: 3, seed: 10 } as const;
  expect(resampleUsers(task, { thread: 0, threads: 1 })).toEqual(byHand);
  expect(resampleUsers(task, { thread: 1, threads: 2 })).toEqual(byHand.slice(1, 2));
  expect(resampleUsers(task, { thread: 3, threads: 4 })).toEqual(Float64Array.of());
});

// The variance of a ratio of sums to first order: of what each user adds to the difference, over the number of values.
test('the interval is that of the normal distribution where users are many', async () => {
  const users = 4_000;
  const random = createRandom(5);
  const uniform = () => random() / 2 ** 32;
  const counts = Int32Array.from({ length: users }, () => 1 + (random() % 5));
  const b = Float64Array.from(counts, (count) => count * uniform());
  const a = Float64Array.from(b, (value, user) => value + counts[user] * (0.5 + uniform()));
  const task = { a, b, counts, statistic: 'mean', resamples: 20_000, seed: 1 } as const;
  const { difference, low, high } = await pairedBootstrap(task, { threads: 2 });
  let values = 0;
  let squares = 0;
  counts.forEach((count, user) => {
    values += count;
    squares += (a[user] - b[user] - difference * count) ** 2;
  });
  const half = (1.959964 * Math.sqrt(squares)) / values;
  expect((difference - low) / half).toBeGreaterThan(0.97);
  expect((difference - low) / half).toBeLessThan(1.03);
  expect((high - difference) / half).toBeGreaterThan(0.97);
  expect((high - difference) / half).toBeLessThan(1.03);
});

test('of one user nothing varies; of two, either may be missing, but not both', async () => {
  const options = { resamples: 10_000, seed: 1 };
  const alone = { a: Float64Array.of(3), b: Float64Array.of(1), counts: Int32Array.of(2) };
  expect(await pairedBootstrap({ ...alone, ...options, statistic: 'mean' }, { threads: 2 })).toEqual({
    difference: 1,
    low: 1,
    high: 1,
    p: 2 / 10_001,
  });
  const two = { a: Float64Array.of(1, 0), b: Float64Array.of(0, 0), counts: Int32Array.of(1, 1) };
  const found = await pairedBootstrap({ ...two, ...options, statistic: 'mean' }, { threads: 2 });
  expect(found).toMatchObject({ difference: 0.5, low: 0, high: 1 });
  // Without the first, given that one of them is there.
  const without = (Math.exp(-1) * (1 - Math.exp(-1))) / (1 - Math.exp(-2));
  expect(found.p / (2 * without)).toBeGreaterThan(0.95);
  expect(found.p / (2 * without)).toBeLessThan(1.05);
  // Nobody has a value: it ends, without one.
  const none = { a: Float64Array.of(0), b: Float64Array.of(0), counts: Int32Array.of(0) };
  const nothing = await pairedBootstrap({ ...none, ...options, statistic: 'mean' }, { threads: 2 });
  expect(nothing.difference).toBeNaN();
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

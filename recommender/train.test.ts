import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { hasMovieLens, pickRows, readRatings } from '../test/support/movielens.ts';
import { lowRank, randomRatings } from '../test/support/ratings.ts';
import { bandsOf } from './bands.ts';
import { crc32OfText } from './split.ts';
import { layoutOf } from './train.ts';
import {
  type FactorizationConfiguration,
  type Model,
  type RatingMatrix,
  type StartFactors,
  type TrainingCheckpoint,
  buildRatingMatrix,
  evaluateModel,
  ratingAt,
  score,
  trainModel,
} from './index.ts';

const common = { rank: 5, iterations: 6, regularization: 0.05, seed: 42 };
const FAMILIES: FactorizationConfiguration[] = [
  { family: 'als', ...common },
  { family: 'als-biased', ...common },
  { family: 'als-implicit', ...common, alpha: 2 },
];
const [als] = FAMILIES;

/** A digest of all factors: equal for equal bits alone. */
function bitsOf({ userFactors, itemFactors }: Model): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of [userFactors, itemFactors])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}

const matrix = (): Promise<RatingMatrix> => buildRatingMatrix(lowRank(120, 80, 0.4));

/** More users than the caches are said to hold, and items of which every third has few ratings. */
function unevenMatrix(): Promise<RatingMatrix> {
  const { users, items, ratings } = randomRatings({ users: 4500, items: 48, density: 0.1, seed: 5 });
  const kept = Int32Array.from(users.keys()).filter((row) => items[row] % 9 > 0 || users[row] % 40 === 0);
  return buildRatingMatrix({
    users: Int32Array.from(kept, (row) => users[row]),
    items: Int32Array.from(kept, (row) => items[row]),
    ratings: Float32Array.from(kept, (row) => ratings[row]),
  });
}

test('finds the factors behind low-rank ratings', async () => {
  const ratings = await matrix();
  const model = await trainModel(
    ratings,
    { ...als, rank: 4, regularization: 0.001, iterations: 30 },
    { threads: 2 },
  );
  let squares = 0;
  const { starts, columns } = ratings.byUser;
  for (let user = 0; user + 1 < starts.length; user++) {
    for (let at = starts[user]; at < starts[user + 1]; at++) {
      const predicted = score(model.userFactors, user, model.itemFactors, columns[at], 4);
      squares += (predicted - ratingAt(ratings.byUser, ratings.scale, at)) ** 2;
    }
  }
  expect(Math.sqrt(squares / ratings.size)).toBeLessThan(0.02);
});

describe.each(FAMILIES)('$family', (configuration) => {
  test('gives the same bits for 1, 2, 3 and 7 threads, and others for another seed', async () => {
    const ratings = await matrix();
    const one = await trainModel(ratings, configuration, { threads: 1 });
    for (const threads of [2, 3, 7]) {
      const model = await trainModel(ratings, configuration, { threads });
      expect(bitsOf(model)).toBe(bitsOf(one));
    }
    const other = await trainModel(ratings, { ...configuration, seed: 43 }, { threads: 1 });
    expect(bitsOf(other)).not.toBe(bitsOf(one));
  });

  test.each([1, 4, 6, 17, 33])('no iteration raises the objective at rank %i', async (rank) => {
    const objectives: number[] = [];
    await trainModel(
      await buildRatingMatrix(randomRatings({ users: 90, items: 60, density: 0.3, seed: rank })),
      { ...configuration, rank, iterations: 15 },
      { threads: 2, onIteration: ({ objective }) => objectives.push(objective) },
    );
    expect(objectives).toHaveLength(15);
    for (let at = 1; at < objectives.length; at++) {
      expect(objectives[at]).toBeLessThanOrEqual(objectives[at - 1] * (1 + 1e-6));
    }
  });

  test("items' factors satisfy their normal equations", async () => {
    const ratings = await buildRatingMatrix(randomRatings({ users: 70, items: 50, density: 0.3, seed: 9 }));
    for (const rank of [3, 8, 30]) {
      const model = await trainModel(ratings, { ...configuration, rank }, { threads: 2 });
      expect(largestResidual(ratings, { ...configuration, rank }, model)).toBeLessThan(1e-4);
    }
  });

  test('items with many ratings, solved in bands, satisfy their equations; the same bits for any threads', async () => {
    const ratings = await unevenMatrix();
    const large = { ...configuration, rank: 60, iterations: 2 };
    const bands = bandsOf(ratings.byItem.starts, ratings.userIds.length, layoutOf(large));
    expect(bands?.rows.length).toBeGreaterThan(20);
    expect(bands?.rows.length).toBeLessThan(ratings.itemIds.length - 10);
    const one = await trainModel(ratings, large, { threads: 1 });
    expect(largestResidual(ratings, large, one)).toBeLessThan(1e-4);
    expect(bitsOf(await trainModel(ratings, large, { threads: 3 }))).toBe(bitsOf(one));
    const checkpoints: TrainingCheckpoint[] = [];
    await trainModel(ratings, large, {
      threads: 1,
      checkpointSeconds: 0,
      onCheckpoint: (checkpoint) => checkpoints.push(checkpoint),
    });
    // All that was told within the last half-step, of the items: a later part goes on where one before it ended.
    const last = checkpoints.filter(({ keepFrom }) => keepFrom === 3);
    expect(last.length).toBeGreaterThan(1);
    for (let told = 1; told <= last.length; told++) {
      const parts = last.slice(0, told).flatMap((checkpoint) => checkpoint.parts);
      const resume = { ...last[told - 1], parts };
      expect(bitsOf(await trainModel(ratings, large, { threads: 2, resume }))).toBe(bitsOf(one));
    }
  });

  test('resumed at any checkpoint, it gives the same bits as if it had not stopped', async () => {
    const ratings = await matrix();
    const whole = await trainModel(ratings, configuration, { threads: 2 });
    let kept: TrainingCheckpoint['parts'] = [];
    const checkpoints: TrainingCheckpoint[] = [];
    let handedOver: StartFactors | undefined;
    const handedOverBefore: boolean[] = [];
    // One thread: how far a checkpoint reaches is then no matter of who is quicker.
    await trainModel(ratings, configuration, {
      threads: 1,
      checkpointSeconds: 0,
      onCheckpoint: ({ parts, keepFrom, objective }) => {
        kept = [...kept, ...parts].filter(({ halfStep }) => halfStep >= keepFrom);
        checkpoints.push({ parts: kept, keepFrom, objective });
        handedOverBefore.push(handedOver !== undefined);
      },
      handOver: { after: 3, take: (factors) => (handedOver = factors) },
    });
    // At zero seconds it is saved within its half-steps too.
    expect(checkpoints.length).toBeGreaterThan(2 * configuration.iterations);
    expect(checkpoints.some(({ parts }) => parts.some(({ first }) => first > 0))).toBe(true);
    const every = Math.ceil(checkpoints.length / 12);
    const isLastBefore = (at: number) => !handedOverBefore[at] && handedOverBefore[at + 1];
    for (const [at, resume] of checkpoints.entries()) {
      if (at % every !== 0 && !isLastBefore(at)) continue;
      let again: StartFactors | undefined;
      const handOver = { after: 3, take: (factors: StartFactors) => (again = factors) };
      const resumed = await trainModel(ratings, configuration, { threads: 3, resume, handOver });
      expect(bitsOf(resumed)).toBe(bitsOf(whole));
      // Whoever was stopped there had not handed it over.
      if (!handedOverBefore[at]) expect(again).toEqual(handedOver);
    }
  });

  test('takes one rating, and a rank above the number of items', async () => {
    const single = await buildRatingMatrix({
      users: Int32Array.of(1),
      items: Int32Array.of(7),
      ratings: Float32Array.of(4),
    });
    const few = await buildRatingMatrix(randomRatings({ users: 12, items: 5, density: 0.6, seed: 2 }));
    for (const ratings of [single, few]) {
      const model = await trainModel(ratings, { ...configuration, rank: 40 }, { threads: 3 });
      expect(model.userFactors.every(Number.isFinite)).toBe(true);
      expect(model.itemFactors.every(Number.isFinite)).toBe(true);
    }
  });
});

/** Largest |Ax - b| of an item against the largest |b|, in double precision and with no block, tile or lane. */
function largestResidual(
  ratings: RatingMatrix,
  configuration: FactorizationConfiguration,
  { rank: width, mean, userFactors, itemFactors }: Model,
): number {
  const biased = configuration.family === 'als-biased';
  const alpha = configuration.family === 'als-implicit' ? configuration.alpha : null;
  const unknowns = configuration.rank + (biased ? 1 : 0);
  /** A user's vector as the item's equations have it: of biases its own is taken off the rating, and 1 stands there. */
  const vector = (user: number): number[] =>
    Array.from({ length: unknowns }, (_, i) =>
      biased && i === configuration.rank ? 1 : userFactors[user * width + i],
    );
  const solution = (item: number): number[] =>
    Array.from({ length: unknowns }, (_, i) =>
      biased && i === configuration.rank
        ? itemFactors[item * width + width - 1]
        : itemFactors[item * width + i],
    );
  let worst = 0;
  const { starts, columns } = ratings.byItem;
  for (let item = 0; item + 1 < starts.length; item++) {
    const count = starts[item + 1] - starts[item];
    const x = solution(item);
    const b = new Float64Array(unknowns);
    const ax = Float64Array.from(x, (value) => configuration.regularization * count * value);
    const add = (v: number[], weight: number, target: number): void => {
      const dot = v.reduce((sum, value, i) => sum + value * x[i], 0);
      v.forEach((value, i) => {
        ax[i] += weight * value * dot;
        b[i] += target * value;
      });
    };
    if (alpha !== null) ratings.userIds.forEach((_, user) => add(vector(user), 1, 0));
    for (let at = starts[item]; at < starts[item + 1]; at++) {
      const user = columns[at];
      const rating = ratingAt(ratings.byItem, ratings.scale, at);
      if (alpha !== null) add(vector(user), alpha * rating, 1 + alpha * rating);
      else
        add(vector(user), 1, rating - (biased ? mean + (userFactors[user * width + width - 2] - mean) : 0));
    }
    const scale = Math.max(...b.map(Math.abs), 1e-12);
    b.forEach((value, i) => (worst = Math.max(worst, Math.abs(ax[i] - value) / scale)));
  }
  return worst;
}

test('stops early where an iteration lowers the objective by less than the tolerance', async () => {
  const ratings = await matrix();
  const objectives: number[] = [];
  const early = { ...als, iterations: 50, tolerance: 0.01 };
  const model = await trainModel(ratings, early, {
    threads: 2,
    onIteration: ({ objective }) => objectives.push(objective),
  });
  const last = objectives.length - 1;
  expect(last + 1).toBeLessThan(50);
  expect(objectives[last - 1] - objectives[last]).toBeLessThan(0.01 * objectives[last - 1]);
  expect(objectives[last - 2] - objectives[last - 1]).toBeGreaterThanOrEqual(0.01 * objectives[last - 2]);
  const same = await trainModel(ratings, { ...als, iterations: last + 1 }, { threads: 1 });
  expect(bitsOf(model)).toBe(bitsOf(same));
});

test.each(FAMILIES)(
  '$family that goes on from what another has handed over is the other one',
  async (given) => {
    const ratings = await matrix();
    let handedOver: StartFactors | undefined;
    const whole = await trainModel(ratings, given, {
      threads: 2,
      handOver: { after: 4, take: (start) => (handedOver = start) },
    });
    const left = { ...given, iterations: 2 };
    expect(bitsOf(await trainModel(ratings, left, { threads: 2, start: handedOver }))).toBe(bitsOf(whole));
    expect(bitsOf(await trainModel(ratings, left, { threads: 2 }))).not.toBe(bitsOf(whole));
  },
);

test('a warm start goes on from an earlier model', async () => {
  const ratings = await matrix();
  const { itemIds, itemFactors, rank } = await trainModel(
    ratings,
    { ...als, iterations: 20 },
    { threads: 2 },
  );
  const first = async (start?: StartFactors) => {
    const objectives: number[] = [];
    const onIteration = ({ objective }: { objective: number }) => objectives.push(objective);
    await trainModel(ratings, { ...als, iterations: 1 }, { threads: 2, start, onIteration });
    return objectives[0];
  };
  expect(await first({ itemIds, itemFactors, width: rank })).toBeLessThan((await first()) * 0.8);
});

test('an aborted training ends with the reason and leaves no thread', async () => {
  const controller = new AbortController();
  const training = trainModel(
    await matrix(),
    { ...als, rank: 100, iterations: 100 },
    { threads: 2, signal: controller.signal, onIteration: () => controller.abort(new Error('enough')) },
  );
  await expect(training).rejects.toThrow('enough');
  expect(process.getActiveResourcesInfo()).not.toContain('MessagePort');
});

test('refuses what no model can be made of', async () => {
  const one = (rating: number) => ({
    users: Int32Array.of(1),
    items: Int32Array.of(7),
    ratings: Float32Array.of(rating),
  });
  await expect(buildRatingMatrix(one(Number.NaN))).rejects.toThrow('rating of user 1 for item 7 is NaN');
  await expect(buildRatingMatrix(one(Infinity))).rejects.toThrow('is Infinity, expected a finite number');
  const twice = {
    users: Int32Array.of(1, 1),
    items: Int32Array.of(7, 7),
    ratings: Float32Array.of(1, 2),
  };
  await expect(buildRatingMatrix(twice)).rejects.toThrow('user 1 has two ratings for item 7');
  const none = { users: new Int32Array(0), items: new Int32Array(0), ratings: new Float32Array(0) };
  await expect(buildRatingMatrix(none)).rejects.toThrow('no ratings');
  // More dimensions than ratings and as good as no penalty: no row's equations can be solved.
  const singular = trainModel(await matrix(), { ...als, rank: 60, regularization: 1e-300 }, { threads: 2 });
  await expect(singular).rejects.toThrow('not finite');
});

test.each([
  ['negative ids and the ends of 32 bits', [-2_147_483_648, -7, 0, 2_147_483_647], (at: number) => at % 5],
  ['a scale of more than 256 ratings', [1, 2, 3, 4], (at: number) => at / 100 - 20],
])('takes %s', async (_, ids, ratingOf) => {
  const users = Int32Array.from({ length: 4 * 300 }, (__, at) => ids[at % 4]);
  const items = Int32Array.from(users, (___, at) => Math.floor(at / 4) * 7_000_000 - 1_000_000_000);
  const ratings = Float32Array.from(users, (____, at) => ratingOf(at));
  const built = await buildRatingMatrix({ users, items, ratings });
  expect(Array.from(built.userIds)).toEqual(ids);
  expect(built.itemIds).toEqual(Int32Array.from(new Set(items)).sort());
  const found = new Map<string, number>();
  for (let user = 0; user < 4; user++) {
    for (let at = built.byUser.starts[user]; at < built.byUser.starts[user + 1]; at++) {
      const pair = `${built.userIds[user]}:${built.itemIds[built.byUser.columns[at]]}`;
      found.set(pair, ratingAt(built.byUser, built.scale, at));
    }
  }
  expect(found.size).toBe(users.length);
  users.forEach((user, at) => expect(found.get(`${user}:${items[at]}`)).toBe(ratings[at]));
  const model = await trainModel(built, als, { threads: 2 });
  expect(model.userFactors.every(Number.isFinite)).toBe(true);
});

test('more items than 16 bits count', async () => {
  const many = 70_000;
  const triples = {
    users: Int32Array.from({ length: many }, (_, at) => at % 11),
    items: Int32Array.from({ length: many }, (_, at) => at),
    ratings: Float32Array.from({ length: many }, (_, at) => 1 + (at % 5)),
  };
  const built = await buildRatingMatrix(triples);
  expect(built.byUser.columns).toBeInstanceOf(Uint32Array);
  expect(built.byItem.columns).toBeInstanceOf(Uint16Array);
  const one = await trainModel(built, { ...als, iterations: 2 }, { threads: 1 });
  const two = await trainModel(built, { ...als, iterations: 2 }, { threads: 2 });
  expect(bitsOf(two)).toBe(bitsOf(one));
});

// Spark's five-fold means, seed 42, ten iterations; `engine.md` of the specification. The whole table: npm run bench.
describe.skipIf(!hasMovieLens)('on ml-latest-small, over five folds', () => {
  test('families stand to each other and to Spark as they should', async () => {
    const all = readRatings();
    const fold = Array.from(all.users, (user, row) => crc32OfText(`${user}:${all.items[row]}`) % 5);
    const configuration = { rank: 20, iterations: 10, regularization: 0.1, seed: 42 };
    const means = { als: 0, biased: 0, implicit: 0, popular: 0 };
    for (let held = 0; held < 5; held++) {
      const train = await buildRatingMatrix(pickRows(all, (row) => fold[row] !== held));
      const holdout = pickRows(all, (row) => fold[row] === held);
      const measure = async (given: Parameters<typeof trainModel>[1]) =>
        evaluateModel(await trainModel(train, given, { threads: 2 }), train, holdout, {
          k: 10,
          minimumRatings: 0,
          threads: 2,
        });
      means.als += ((await measure({ family: 'als', ...configuration })).rmse ?? NaN) / 5;
      means.biased += ((await measure({ family: 'als-biased', ...configuration })).rmse ?? NaN) / 5;
      means.implicit += (await measure({ family: 'als-implicit', ...configuration, alpha: 1 })).precision / 5;
      means.popular += (await measure({ family: 'popular' })).precision / 5;
      train.release();
    }
    expect(means.als).toBeLessThanOrEqual(0.882 + 0.003);
    expect(means.biased).toBeLessThan(means.als);
    expect(means.implicit).toBeGreaterThanOrEqual(0.18);
    expect(Math.abs(means.popular - 0.118)).toBeLessThanOrEqual(0.01);
  });
});

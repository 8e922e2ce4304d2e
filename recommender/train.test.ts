import { describe, expect, test } from 'vitest';
import { hasMovieLens, pickRows, readRatings } from '../test/support/movielens.ts';
import { crc32OfText } from './split.ts';
import {
  type AlsConfiguration,
  type RatingMatrix,
  type TrainingCheckpoint,
  buildRatingMatrix,
  evaluateModel,
  score,
  trainModel,
} from './index.ts';
import { createRandom } from './random.ts';

const als: AlsConfiguration = { family: 'als', rank: 4, iterations: 8, regularization: 0.05, seed: 42 };

/** Ratings that a rank of two explains, on a scale of its own. */
function lowRank(users: number, items: number, density: number) {
  const random = createRandom(7);
  const uniform = () => random() / 2 ** 32;
  const left = Array.from({ length: users }, () => [1 + uniform(), uniform()]);
  const right = Array.from({ length: items }, () => [1 + uniform(), 2 * uniform() - 1]);
  const rows = left.flatMap((u, user) =>
    right.flatMap((v, item) =>
      uniform() < density ? [[user + 1, 10 * item, u[0] * v[0] + u[1] * v[1]]] : [],
    ),
  );
  return {
    users: Int32Array.from(rows, ([user]) => user),
    items: Int32Array.from(rows, ([, item]) => item),
    ratings: Float32Array.from(rows, ([, , rating]) => rating),
  };
}

async function matrix(): Promise<RatingMatrix> {
  return buildRatingMatrix(lowRank(120, 80, 0.4));
}

test('finds the factors behind low-rank ratings', async () => {
  const ratings = await matrix();
  const model = await trainModel(ratings, { ...als, regularization: 0.001, iterations: 30 }, { threads: 2 });
  let squares = 0;
  const { starts, columns, values } = ratings.byUser;
  for (let user = 0; user + 1 < starts.length; user++) {
    for (let at = starts[user]; at < starts[user + 1]; at++) {
      squares += (score(model.userFactors, user, model.itemFactors, columns[at], 4) - values[at]) ** 2;
    }
  }
  expect(Math.sqrt(squares / values.length)).toBeLessThan(0.02);
});

test('gives the same bits for one, two and three threads, and others for another seed', async () => {
  const ratings = await matrix();
  const [one, two, three, other] = await Promise.all([
    trainModel(ratings, als, { threads: 1 }),
    trainModel(ratings, als, { threads: 2 }),
    trainModel(ratings, als, { threads: 3 }),
    trainModel(ratings, { ...als, seed: 43 }, { threads: 1 }),
  ]);
  for (const model of [two, three]) {
    expect(model.userFactors).toEqual(one.userFactors);
    expect(model.itemFactors).toEqual(one.itemFactors);
  }
  expect(other.itemFactors).not.toEqual(one.itemFactors);
});

test('no iteration makes the objective worse, and each is told of', async () => {
  const objectives: number[] = [];
  await trainModel(await matrix(), als, {
    threads: 2,
    onIteration: ({ objective }) => objectives.push(objective),
  });
  expect(objectives).toHaveLength(als.iterations);
  for (let at = 1; at < objectives.length; at++) {
    expect(objectives[at]).toBeLessThanOrEqual(objectives[at - 1] * (1 + 1e-6));
  }
});

test('resumed after any iteration, it gives the same bits as if it had not stopped', async () => {
  const ratings = await matrix();
  const whole = await trainModel(ratings, als, { threads: 2 });
  const checkpoints: TrainingCheckpoint[] = [];
  await trainModel(ratings, als, {
    threads: 2,
    checkpointSeconds: 0,
    onCheckpoint: (checkpoint) => checkpoints.push(checkpoint),
  });
  expect(checkpoints.map(({ iteration }) => iteration)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  for (const resume of checkpoints) {
    const resumed = await trainModel(ratings, als, { threads: 3, resume });
    expect(resumed.userFactors).toEqual(whole.userFactors);
    expect(resumed.itemFactors).toEqual(whole.itemFactors);
  }
});

test('an aborted training ends with the reason and leaves no thread', async () => {
  const controller = new AbortController();
  const training = trainModel(
    await matrix(),
    { ...als, rank: 100, iterations: 100 },
    { threads: 2, signal: controller.signal, onIteration: () => controller.abort(new Error('enough')) },
  );
  await expect(training).rejects.toThrow('enough');
});

test('refuses what no model can be made of', async () => {
  const one = (rating: number) => ({
    users: Int32Array.of(1),
    items: Int32Array.of(7),
    ratings: Float32Array.of(rating),
  });
  await expect(buildRatingMatrix(one(Number.NaN))).rejects.toThrow('rating of user 1 for item 7 is NaN');
  const twice = { users: Int32Array.of(1, 1), items: Int32Array.of(7, 7), ratings: Float32Array.of(3, 4) };
  await expect(buildRatingMatrix(twice)).rejects.toThrow('user 1 has two ratings for item 7');
  const nothing = { users: new Int32Array(), items: new Int32Array(), ratings: new Float32Array() };
  await expect(buildRatingMatrix(nothing)).rejects.toThrow('at least one');
});

// Spark's five-fold means, seed 42, ten iterations; `engine.md` of the specification.
describe.skipIf(!hasMovieLens)('on ml-latest-small, over five folds', () => {
  test('rank 20 is no worse than Spark by more than 0.003, and popular ranks as it should', async () => {
    const all = readRatings();
    const fold = Array.from(all.users, (user, row) => crc32OfText(`${user}:${all.items[row]}`) % 5);
    let rmse = 0;
    let precision = 0;
    for (let held = 0; held < 5; held++) {
      const train = await buildRatingMatrix(pickRows(all, (row) => fold[row] !== held));
      const holdout = pickRows(all, (row) => fold[row] === held);
      const options = { k: 10, minimumRatings: 0, threads: 2 };
      const model = await trainModel(
        train,
        { family: 'als', rank: 20, iterations: 10, regularization: 0.1, seed: 42 },
        { threads: 2 },
      );
      const popular = await trainModel(train, { family: 'popular' }, { threads: 2 });
      rmse += (await evaluateModel(model, train, holdout, options)).rmse ?? Number.NaN;
      precision += (await evaluateModel(popular, train, holdout, options)).precision;
    }
    expect(rmse / 5).toBeLessThanOrEqual(0.885);
    expect(Math.abs(precision / 5 - 0.118)).toBeLessThanOrEqual(0.01);
  });
});

import { describe, expect, test } from 'vitest';
import { randomRatings } from '../test/support/ratings.ts';
import {
  type Model,
  type RankedLists,
  type RatingMatrix,
  buildRatingMatrix,
  recommendTopN,
  score,
  similarItems,
  trainModel,
} from './index.ts';
import { principalAxes } from './principal-axes.ts';
import { createRandom } from './random.ts';

const configuration = { family: 'als', rank: 3, iterations: 4, regularization: 0.1, seed: 1 } as const;

async function trained(): Promise<{ ratings: RatingMatrix; model: Model }> {
  const ratings = await buildRatingMatrix(randomRatings({ users: 40, items: 30, density: 0.33, seed: 3 }));
  return { ratings, model: await trainModel(ratings, configuration, { threads: 1 }) };
}

/** The obvious way: all items, sorted. */
function bruteForce(
  model: Model,
  candidates: number[],
  n: number,
  scoreOf: (item: number) => number,
): [number, number][] {
  return candidates
    .map((item): [number, number] => [model.itemIds[item], scoreOf(item)])
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .slice(0, n);
}

const countOf = ({ byItem }: RatingMatrix, item: number) => byItem.starts[item + 1] - byItem.starts[item];

/** A model of random factors; coarse ones, so that many scores are equal to the bit. */
function randomModel(ratings: RatingMatrix, rank: number, seed: number, steps: number): Model {
  const random = createRandom(seed);
  const factors = (rows: number): Float32Array =>
    Float32Array.from({ length: rows * rank }, () => Math.round((random() / 2 ** 31 - 1) * steps) / steps);
  const { userIds, itemIds } = ratings;
  return {
    configuration: { ...configuration, rank },
    rank,
    mean: 0,
    userIds,
    itemIds,
    userFactors: factors(userIds.length),
    itemFactors: factors(itemIds.length),
  };
}

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('problem %i', (seed) => {
  const random = createRandom(100 + seed);
  const below = (bound: number): number => random() % bound;
  const rank = 1 + below(33);
  const n = 1 + below(25);
  const steps = seed % 2 === 0 ? 2 : 1_000_000;
  const options = {
    excludeRated: below(2) === 0,
    minimumRatings: below(12),
    threads: 1 + below(3),
    ...(below(2) === 0 ? { allowed: new Set(Array.from({ length: 90 }, () => 3 * below(120))) } : {}),
    ...(below(2) === 0 ? { excluded: new Set(Array.from({ length: 30 }, () => 3 * below(120))) } : {}),
  };
  const problem = async () => {
    const ratings = await buildRatingMatrix(
      randomRatings({ users: 37, items: 120, density: 0.02 + below(40) / 100, seed }),
    );
    return { ratings, model: randomModel(ratings, rank, seed, steps) };
  };

  test(`every list of rank ${rank}, n ${n} is that of brute force`, async () => {
    const { ratings, model } = await problem();
    const users = Uint32Array.from(model.userIds.keys()).filter((user) => user % 3 !== 1);
    const lists = await recommendTopN(model, { n, ratings, users, ...options });
    expect(lists.ids).toEqual(Int32Array.from(users, (user) => model.userIds[user]));
    users.forEach((user, at) => {
      const rated = new Set<number>(
        ratings.byUser.columns.subarray(ratings.byUser.starts[user], ratings.byUser.starts[user + 1]),
      );
      const candidates = Array.from(model.itemIds.keys()).filter(
        (item) =>
          !(options.excludeRated && rated.has(item)) &&
          countOf(ratings, item) >= options.minimumRatings &&
          (options.allowed?.has(model.itemIds[item]) ?? true) &&
          !(options.excluded?.has(model.itemIds[item]) ?? false),
      );
      const expected = bruteForce(model, candidates, n, (item) =>
        score(model.userFactors, user, model.itemFactors, item, model.rank),
      );
      expect(listOf(lists, at)).toEqual(expected);
    });
  });

  test('every list of neighbours is that of brute force, itself left out', async () => {
    const { ratings, model } = await problem();
    const { minimumRatings, threads } = options;
    await expectNeighbours(ratings, model, { n, minimumRatings, threads });
  });
});

async function expectNeighbours(
  ratings: RatingMatrix,
  model: Model,
  options: { n: number; minimumRatings: number; threads: number },
): Promise<void> {
  const lists = await similarItems(model, { ratings, ...options });
  const length = (item: number) =>
    Math.sqrt(score(model.itemFactors, item, model.itemFactors, item, model.rank));
  model.itemIds.forEach((_, item) => {
    const candidates = Array.from(model.itemIds.keys()).filter(
      (other) =>
        other !== item &&
        countOf(ratings, other) >= options.minimumRatings &&
        length(item) * length(other) > 0,
    );
    const expected = bruteForce(model, candidates, options.n, (other) =>
      Math.max(
        -1,
        Math.min(
          1,
          score(model.itemFactors, item, model.itemFactors, other, model.rank) /
            (length(item) * length(other)),
        ),
      ),
    );
    expect(listOf(lists, item)).toEqual(expected);
  });
}

// Most pairs are told apart by what lies along the axes, and by how long the rest is; two items here are near in that alone.
test.each([
  ['exactly', 0, 2],
  ['nearly', 0.03, 1_000_000],
])('neighbours of items that lie %s along few axes are those of brute force', async (_, noise, steps) => {
  const ratings = await buildRatingMatrix(randomRatings({ users: 37, items: 300, density: 0.2, seed: 9 }));
  const [rank, axes] = [24, 3];
  const along = randomModel(ratings, axes, 11, steps).itemFactors;
  const directions = randomModel(ratings, rank, 12, steps).itemFactors;
  const off = randomModel(ratings, rank, 13, 1_000_000);
  const itemFactors = off.itemFactors.map((value, at) => {
    const [item, d] = [Math.floor(at / rank), at % rank];
    if (item === 100 || item === 101) return off.itemFactors[d] + 0.1 * value;
    let sum = noise * value;
    for (let axis = 0; axis < axes; axis++) sum += along[item * axes + axis] * directions[axis * rank + d];
    return sum;
  });
  expect(principalAxes(itemFactors, rank).length).toBeLessThanOrEqual((axes + 1) * rank);
  await expectNeighbours(ratings, { ...off, itemFactors }, { n: 7, minimumRatings: 3, threads: 2 });
});

/** A list as pairs of id and score. */
function listOf({ capacity, counts, items, scores }: RankedLists, list: number): [number, number][] {
  return Array.from({ length: counts[list] }, (_, at) => [
    items[list * capacity + at],
    scores[list * capacity + at],
  ]);
}

test('a range of users gives the part of the lists that is theirs', async () => {
  const { ratings, model } = await trained();
  const options = { n: 5, ratings, excludeRated: true, minimumRatings: 0, threads: 2 };
  const all = await recommendTopN(model, options);
  const part = await recommendTopN(model, { ...options, users: [10, 25] });
  expect(part.ids).toEqual(all.ids.slice(10, 25));
  expect(part.items).toEqual(all.items.slice(50, 125));
});

test('equal scores stand in the order of their ids', async () => {
  const { ratings, model } = await trained();
  const flat = { ...model, itemFactors: model.itemFactors.map(() => 1) };
  const { items } = await recommendTopN(flat, {
    n: 4,
    ratings,
    excludeRated: false,
    minimumRatings: 0,
    threads: 1,
  });
  expect(Array.from(items.subarray(0, 4))).toEqual([0, 3, 6, 9]);
});

test('an item without a direction is similar to none', async () => {
  const { ratings, model } = await trained();
  const zeroed = { ...model, itemFactors: model.itemFactors.slice().fill(0, 0, model.rank) };
  const { counts, items } = await similarItems(zeroed, { n: 6, ratings, minimumRatings: 0, threads: 1 });
  expect(counts[0]).toBe(0);
  expect(items.subarray(6)).not.toContain(model.itemIds[0]);
});

test('biases are no part of what makes items similar', async () => {
  const ratings = await buildRatingMatrix(randomRatings({ users: 40, items: 30, density: 0.4, seed: 5 }));
  const model = await trainModel(ratings, { ...configuration, family: 'als-biased' }, { threads: 1 });
  const without = {
    ...model,
    configuration,
    rank: 3,
    itemFactors: model.itemFactors.filter((_, at) => at % model.rank < 3),
  };
  const options = { n: 6, ratings, minimumRatings: 0, threads: 2 };
  expect(await similarItems(model, options)).toEqual(await similarItems(without, options));
});

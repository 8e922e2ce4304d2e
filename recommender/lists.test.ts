import { expect, test } from 'vitest';
import {
  type Model,
  type RatingMatrix,
  buildRatingMatrix,
  recommendTopN,
  score,
  similarItems,
  trainModel,
} from './index.ts';
import { createRandom } from './random.ts';

const configuration = { family: 'als', rank: 3, iterations: 4, regularization: 0.1, seed: 1 } as const;

async function trained(): Promise<{ ratings: RatingMatrix; model: Model }> {
  const random = createRandom(3);
  const rows = Array.from({ length: 40 }, (_, user) =>
    Array.from({ length: 30 }, (_, item) => [user, item * 3, random() % 3] as const),
  )
    .flat()
    .filter(([, , draw]) => draw === 0);
  const ratings = await buildRatingMatrix({
    users: Int32Array.from(rows, ([user]) => user),
    items: Int32Array.from(rows, ([, item]) => item),
    ratings: Float32Array.from(rows, () => 0.5 + (random() % 10) / 2),
  });
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

test.each([
  { excludeRated: true, minimumRatings: 0, threads: 1 },
  { excludeRated: true, minimumRatings: 14, threads: 3 },
  { excludeRated: false, minimumRatings: 0, threads: 2 },
])('the top of every list is exact: %o', async (options) => {
  const { ratings, model } = await trained();
  const lists = await recommendTopN(model, { n: 7, ratings, ...options });
  expect(lists.ids).toEqual(model.userIds);
  model.userIds.forEach((_, user) => {
    const rated = new Set(
      ratings.byUser.columns.subarray(ratings.byUser.starts[user], ratings.byUser.starts[user + 1]),
    );
    const candidates = Array.from(model.itemIds.keys()).filter(
      (item) =>
        !(options.excludeRated && rated.has(item)) && countOf(ratings, item) >= options.minimumRatings,
    );
    const expected = bruteForce(model, candidates, 7, (item) =>
      score(model.userFactors, user, model.itemFactors, item, model.rank),
    );
    const found = Array.from({ length: lists.counts[user] }, (_, at) => [
      lists.items[user * 7 + at],
      lists.scores[user * 7 + at],
    ]);
    expect(found).toEqual(expected);
  });
});

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

test('similar items are the largest cosines, never the item itself', async () => {
  const { ratings, model } = await trained();
  const lists = await similarItems(model, { n: 6, ratings, minimumRatings: 13, threads: 2 });
  const length = (item: number) =>
    Math.sqrt(score(model.itemFactors, item, model.itemFactors, item, model.rank));
  model.itemIds.forEach((_, item) => {
    const candidates = Array.from(model.itemIds.keys()).filter(
      (other) => other !== item && countOf(ratings, other) >= 13,
    );
    const expected = bruteForce(
      model,
      candidates,
      6,
      (other) =>
        score(model.itemFactors, item, model.itemFactors, other, model.rank) / (length(item) * length(other)),
    );
    const found = Array.from({ length: lists.counts[item] }, (_, at) => lists.items[item * 6 + at]);
    expect(found).toEqual(expected.map(([id]) => id));
  });
});

test('an item without a direction is similar to none', async () => {
  const { ratings, model } = await trained();
  const zeroed = { ...model, itemFactors: model.itemFactors.slice().fill(0, 0, model.rank) };
  const { counts, items } = await similarItems(zeroed, { n: 6, ratings, minimumRatings: 0, threads: 1 });
  expect(counts[0]).toBe(0);
  expect(items.subarray(6)).not.toContain(model.itemIds[0]);
});

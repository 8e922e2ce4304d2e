import { beforeAll, expect, test } from 'vitest';
import {
  type AlsConfiguration,
  type RatingMatrix,
  buildRatingMatrix,
  ratingAt,
  trainModel,
} from '../recommender/index.ts';
import { measurePlain } from './measure-plain.ts';
import { type SideMatrix, expandRows, solvePlainSide } from './plain-als.ts';
import { synthesiseRatings } from './synthetic-ratings.ts';

const configuration: AlsConfiguration = {
  family: 'als',
  rank: 6,
  iterations: 3,
  regularization: 0.1,
  seed: 42,
};
let matrix: RatingMatrix;
beforeAll(async () => {
  matrix = await buildRatingMatrix(await synthesiseRatings(5_000));
});

function largestDifference(a: Float64Array, b: Float32Array): number {
  return a.reduce((largest, value, at) => Math.max(largest, Math.abs(value - b[at])), 0);
}

/** The matrix with wide columns and its ratings as they are. */
function wide({ byUser, byItem, scale }: RatingMatrix): SideMatrix {
  return { byUser: expandRows(byUser, scale), byItem: expandRows(byItem, scale), scale: null };
}

test('makes the same step as the engine, with the same objective', async () => {
  const before = await trainModel(matrix, configuration, { threads: 1 });
  let reported = 0;
  const after = await trainModel(
    matrix,
    { ...configuration, iterations: configuration.iterations + 1 },
    { threads: 1, onIteration: ({ objective }) => (reported = objective) },
  );
  const { byUser, byItem, scale } = matrix;
  const users = new Float64Array(after.userFactors.length);
  const items = new Float64Array(after.itemFactors.length);
  solvePlainSide(expandRows(byUser, scale), Float64Array.from(before.itemFactors), users, configuration);
  let objective = solvePlainSide(expandRows(byItem, scale), users, items, configuration);
  for (let user = 0; user + 1 < byUser.starts.length; user++) {
    const count = byUser.starts[user + 1] - byUser.starts[user];
    const row = users.subarray(user * configuration.rank, (user + 1) * configuration.rank);
    objective += configuration.regularization * count * row.reduce((sum, value) => sum + value * value, 0);
  }
  expect(largestDifference(users, after.userFactors)).toBeLessThan(1e-3);
  expect(largestDifference(items, after.itemFactors)).toBeLessThan(1e-3);
  expect(Math.abs(objective / reported - 1)).toBeLessThan(1e-3);
});

test('reads coded values and narrow columns as what they stand for', () => {
  const { byUser, scale } = matrix;
  const { columns, values } = wide(matrix).byUser;
  expect(columns).toBeInstanceOf(Uint32Array);
  expect(Array.from(columns)).toEqual(Array.from(byUser.columns));
  expect(values).toEqual(Float32Array.from(byUser.values, (_, at) => ratingAt(byUser, scale, at)));
});

test('is timed in a process of its own, whatever the layout', async () => {
  for (const layout of [matrix, wide(matrix)]) {
    const { seconds, step } = await measurePlain(layout, configuration);
    expect(seconds).toBeGreaterThan(0);
    expect(step).toBe(1);
  }
});

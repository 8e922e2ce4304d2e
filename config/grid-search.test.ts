import { expect, test } from 'vitest';
import { type GridMetricColumns, byMetric, checkGridSearch, gridPoints } from './grid-search.ts';
import { UsageError } from './settings.ts';

const axes = {
  family: ['als' as const],
  rank: [10, 20],
  iterations: [10],
  regularization: [0.05, 0.1],
  alpha: [1, 40],
  seed: 42,
};

test('a grid is every combination of its values, alpha for als-implicit alone', () => {
  expect(gridPoints(axes)).toEqual([
    { family: 'als', rank: 10, iterations: 10, regularization: 0.05, seed: 42 },
    { family: 'als', rank: 10, iterations: 10, regularization: 0.1, seed: 42 },
    { family: 'als', rank: 20, iterations: 10, regularization: 0.05, seed: 42 },
    { family: 'als', rank: 20, iterations: 10, regularization: 0.1, seed: 42 },
  ]);
  const all = gridPoints({ ...axes, family: ['als-biased', 'als-implicit'] });
  expect(all).toHaveLength(4 + 8);
  expect(all.filter((point) => 'alpha' in point).map(({ family }) => family)).toEqual(
    Array.from({ length: 8 }, () => 'als-implicit'),
  );
  expect(checkGridSearch({ points: all, metric: 'rmse' })).toEqual({ points: all, metric: 'rmse' });
});

const points = gridPoints(axes);
const implicit = gridPoints({ ...axes, family: ['als-implicit'] });

test.each([
  [{ points: [], metric: 'rmse' }, '--rank', '0 points; expected 1 to 64'],
  [
    { points: gridPoints({ ...axes, rank: Array.from({ length: 33 }, (_, at) => at + 1) }), metric: 'rmse' },
    '--rank',
    '66 points; expected 1 to 64',
  ],
  [{ points: [points[0], points[0]], metric: 'rmse' }, '--rank', 'a point is named twice'],
  [{ points: implicit, metric: 'rmse' }, '--metric rmse', 'no point has it'],
  [{ points: implicit, metric: 'mae' }, '--metric mae', 'expected precision@10, recall@10'],
  [{ points, metric: 'auc' }, '--metric', ''],
  [{ points: [{ ...points[0], rank: 0 }], metric: 'rmse' }, '--points.0.rank', ''],
  [{ metric: 'rmse' }, '--points', ''],
])('refuses a search in one line that names what is wrong: %#', (asked, names, says) => {
  const refusal = () => checkGridSearch(asked);
  expect(refusal).toThrow(UsageError);
  expect(refusal).toThrow(names);
  expect(refusal).toThrow(says);
});

test('a metric that some points have is no reason to refuse', () => {
  expect(() => checkGridSearch({ points: [...implicit, points[0]], metric: 'rmse' })).not.toThrow();
  expect(() => checkGridSearch({ points: implicit, metric: 'ndcg@10' })).not.toThrow();
});

test('points are ordered by what is better, those without the metric last, equal ones as they stand', () => {
  const of = (rmse: number | null, ndcg: number | null): GridMetricColumns => ({
    rmse,
    mae: null,
    precision_at_10: null,
    recall_at_10: null,
    ndcg_at_10: ndcg,
    map_at_10: null,
  });
  const rows = [of(null, 0.3), of(0.9, 0.1), of(0.8, null), of(0.8, 0.2)];
  expect(rows.toSorted(byMetric('rmse'))).toEqual([rows[2], rows[3], rows[1], rows[0]]);
  expect(rows.toSorted(byMetric('ndcg@10'))).toEqual([rows[0], rows[3], rows[1], rows[2]]);
});

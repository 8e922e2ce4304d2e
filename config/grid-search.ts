/** A grid search as it is asked for: which configurations are tried, and the metric that chooses among them. */

import { z } from 'zod';
import { METRICS, METRIC_NAMES, type Metric, isBetter, isErrorMetric } from './metrics.ts';
import { type ModelConfiguration, UsageError, modelConfigurationSchema } from './settings.ts';

/** Metrics of a point that failed, or that its family has not, are null. */
export type GridMetricColumns = Record<(typeof METRICS)[Metric]['column'], number | null>;

/** One payload of 16 KiB and a history of 1,000 events have room for about twice as many. */
export const MOST_POINTS = 64;

export const GRID_FAMILIES = ['als', 'als-biased', 'als-implicit'] as const satisfies readonly [
  ModelConfiguration['family'],
  ...ModelConfiguration['family'][],
];

/** The values whose every combination is a point. */
export interface GridAxes {
  family: ModelConfiguration['family'][];
  rank: number[];
  iterations: number[];
  regularization: number[];
  /** For `als-implicit` alone; the other families have no such parameter. */
  alpha: number[];
  seed: number;
}

/** The points of a grid, in the order in which its values are given. */
export function gridPoints({ family, rank, iterations, regularization, alpha, seed }: GridAxes) {
  return family.flatMap((family) =>
    rank.flatMap((rank) =>
      iterations.flatMap((iterations) =>
        regularization.flatMap((regularization): ModelConfiguration[] => {
          const point = { rank, iterations, regularization, seed };
          return family === 'als-implicit'
            ? alpha.map((alpha) => ({ family, ...point, alpha }))
            : [{ family, ...point }];
        }),
      ),
    ),
  );
}

export interface GridSearchInput {
  points: ModelConfiguration[];
  metric: Metric;
}

const gridSearchSchema = z.object({
  points: z.array(modelConfigurationSchema),
  metric: z.enum(METRIC_NAMES),
});

/**
 * Looks whether a grid search can be made as it is asked for.
 * @throws UsageError that names the option and what was wrong with it
 */
export function checkGridSearch(asked: unknown): GridSearchInput {
  const parsed = gridSearchSchema.safeParse(asked);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new UsageError(`--${issue.path.join('.')}: ${issue.message}`);
  }
  const { points, metric } = parsed.data;
  const axes = '--family, --rank, --reg, --iterations, --alpha';
  if (points.length === 0 || points.length > MOST_POINTS)
    throw new UsageError(`${axes}: ${points.length} points; expected 1 to ${MOST_POINTS}`);
  if (new Set(points.map((point) => JSON.stringify(point))).size < points.length)
    throw new UsageError(`${axes}: a point is named twice; expected points that differ`);
  if (isErrorMetric(metric) && points.every(({ family }) => family === 'als-implicit'))
    throw new UsageError(
      `--metric ${metric}: no point has it, because als-implicit predicts no ratings; expected precision@10, recall@10, ndcg@10 or map@10`,
    );
  return parsed.data;
}

/** Orders points from the best to the worst by a metric, those that do not have it last. */
export function byMetric(metric: Metric): (a: GridMetricColumns, b: GridMetricColumns) => number {
  const { column, better } = METRICS[metric];
  const worst = better === 'lower' ? Infinity : -Infinity;
  return (a, b) => {
    const [ofA, ofB] = [a[column] ?? worst, b[column] ?? worst];
    return Number(isBetter(metric, ofB, ofA)) - Number(isBetter(metric, ofA, ofB));
  };
}

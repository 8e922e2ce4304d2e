/** Metrics that configurations are compared by. */

/** Column that holds each in tables of evaluations, and what is better. */
export const METRICS = {
  rmse: { column: 'rmse', better: 'lower' },
  mae: { column: 'mae', better: 'lower' },
  'precision@10': { column: 'precision_at_10', better: 'higher' },
  'recall@10': { column: 'recall_at_10', better: 'higher' },
  'ndcg@10': { column: 'ndcg_at_10', better: 'higher' },
  'map@10': { column: 'map_at_10', better: 'higher' },
} as const;

export type Metric = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as [Metric, ...Metric[]];

/** Whether a value of a metric is better than another one; of equal ones neither is. */
export function isBetter(metric: Metric, value: number, other: number): boolean {
  return METRICS[metric].better === 'lower' ? value < other : value > other;
}

/** Whether a metric is about errors of predicted ratings; the others are about ranked lists. */
export function isErrorMetric(metric: Metric): boolean {
  return METRICS[metric].better === 'lower';
}

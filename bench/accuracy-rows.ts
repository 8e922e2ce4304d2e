/** The rows of the accuracy table, and what Spark 4.3 reaches there on the five folds of ml-latest-small. */

import { type Configuration, type Family, configurationKey } from '../recommender/index.ts';
import type { AccuracyFigures, AccuracyRow } from './accuracy.ts';

type SparkFigures = Partial<AccuracyFigures>;

export const FAMILIES: readonly Family[] = ['als', 'als-biased', 'als-implicit', 'popular'];

export interface Training {
  iterations: number;
  seed: number;
  alpha: number;
}

/** What Spark's figures are of: ml-latest-small, and how it was trained. */
const RATINGS = 100_836;
const TRAINING: Training = { iterations: 10, seed: 42, alpha: 1 };

/** A configuration of a family by what the table's rows differ in; the most-popular has none of it. */
export function configure(
  family: Family,
  rank: number,
  regularization: number,
  { iterations, seed, alpha }: Training,
): Configuration {
  const factorization = { rank, regularization, iterations, seed };
  if (family === 'popular') return { family };
  return family === 'als-implicit' ? { family, ...factorization, alpha } : { family, ...factorization };
}

const ranking = (precision: number, recall: number, ndcg: number, coverage: number): SparkFigures => ({
  precision_at_10: precision,
  recall_at_10: recall,
  ndcg_at_10: ndcg,
  coverage,
});

/** Ranking figures are of one fold only. */
function sparkRows(training: Training): (AccuracyRow & { spark: SparkFigures })[] {
  const als = (rank: number, regularization: number, spark: SparkFigures, minimumRatings = 0) => ({
    configuration: configure('als', rank, regularization, training),
    minimumRatings,
    spark,
  });
  const other = (family: Family, spark: SparkFigures) => ({
    configuration: configure(family, 20, 0.1, training),
    minimumRatings: 0,
    spark,
  });
  return [
    als(10, 0.1, { rmse: 0.8847, mae: 0.68 }),
    als(20, 0.1, { rmse: 0.882, mae: 0.68, ...ranking(0.01, 0.007, 0.011, 0.088) }),
    als(30, 0.1, { rmse: 0.88, mae: 0.68 }),
    als(50, 0.1, { rmse: 0.8797, mae: 0.68 }),
    als(100, 0.1, { rmse: 0.8785, mae: 0.68 }),
    als(20, 0.15, { rmse: 0.8735, mae: 0.6802 }),
    als(20, 0.2, { rmse: 0.8823, mae: 0.692 }),
    als(20, 0.1, ranking(0.109, 0.074, 0.13, 0.028), 50),
    other('als-biased', {}),
    other('als-implicit', ranking(0.195, 0.192, 0.259, 0.078)),
    other('popular', ranking(0.118, 0.092, 0.153, 0.006)),
  ];
}

/** The rows of the table; a floor, where one is given, stands in for their own. */
export function tableRows(training: Training, floor?: number): AccuracyRow[] {
  const rows = sparkRows(training).map(({ configuration, minimumRatings }) => ({
    configuration,
    minimumRatings: floor ?? minimumRatings,
  }));
  const byKey = rows.map(
    (row) => [`${configurationKey(row.configuration)} ${row.minimumRatings}`, row] as const,
  );
  return [...new Map(byKey).values()];
}

/** What Spark reaches for a row on so many ratings; nothing where it was not measured. */
export function sparkFigures({ configuration, minimumRatings }: AccuracyRow, ratings: number): SparkFigures {
  const key = configurationKey(configuration);
  const found = sparkRows(TRAINING).find(
    (row) => configurationKey(row.configuration) === key && row.minimumRatings === minimumRatings,
  );
  return ratings === RATINGS && found !== undefined ? found.spark : {};
}

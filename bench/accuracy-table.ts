import type { AccuracyFigures, RowAccuracy } from './accuracy.ts';
import { sparkFigures } from './accuracy-rows.ts';

/** A row as JSON: its configuration by the names of the options, its figures, those of each fold, and Spark's. */
export function accuracyJson(row: RowAccuracy, ratings: number): Record<string, unknown> {
  const { configuration, minimumRatings, figures, folds } = row;
  const parameters =
    configuration.family === 'popular'
      ? {}
      : {
          rank: configuration.rank,
          reg: configuration.regularization,
          iterations: configuration.iterations,
          seed: configuration.seed,
          ...(configuration.family === 'als-implicit' && { alpha: configuration.alpha }),
        };
  const spark = sparkFigures(row, ratings);
  return {
    family: configuration.family,
    ...parameters,
    minimum_ratings: minimumRatings,
    ...figures,
    ...(folds.length > 0 && { folds }),
    ...(Object.keys(spark).length > 0 && { spark }),
  };
}

/** Rows for people; Spark's figure stands behind ours where there is one. */
export function accuracyTable(rows: RowAccuracy[], ratings: number): { head: string[]; rows: string[][] } {
  return {
    head: ['family', 'rank', 'reg', 'floor', 'RMSE', 'MAE', 'P@10', 'R@10', 'NDCG@10', 'coverage', 'dropped'],
    rows: rows.map((row) => {
      const { configuration, minimumRatings, figures } = row;
      const spark = sparkFigures(row, ratings);
      const cell = (name: keyof AccuracyFigures, digits: number): string => {
        const beside = spark[name];
        const value = figures[name]?.toFixed(digits) ?? 'n/a';
        return beside == null ? value : `${value} (${beside.toFixed(digits)})`;
      };
      const [rank, reg] =
        configuration.family === 'popular' ? ['', ''] : [configuration.rank, configuration.regularization];
      return [
        ...[configuration.family, String(rank), String(reg), String(minimumRatings)],
        ...[cell('rmse', 4), cell('mae', 4)],
        ...(['precision_at_10', 'recall_at_10', 'ndcg_at_10', 'coverage'] as const).map((one) =>
          cell(one, 3),
        ),
        figures.dropped.toFixed(0),
      ];
    }),
  };
}

import type { MetricColumns } from '../../database/types/index.ts';
import {
  type Configuration,
  type Evaluation,
  type Model,
  type RatingMatrix,
  evaluateModel,
  groupHoldout,
  trainModel,
} from '../../recommender/index.ts';
import { CHURN_PLACES, CHURN_USERS } from '../selection/churn.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { checksumModel } from './checksum.ts';
import { reportIterations } from './progress.ts';
import { withSnapshotMatrix } from './snapshot-matrix.ts';

/** An evaluation twin: a configuration trained on the train part of a snapshot and measured on its holdout. */
export interface Twin {
  evaluation: Evaluation;
  /** Ratings of the train part. */
  trainingSize: number;
  /** Of the twin's factors. */
  checksum: string;
  trainingSeconds: number;
}

/**
 * Trains and measures a twin on the snapshot of a run, by that run's settings: equal configurations have equal twins,
 * whoever asks for them.
 * @param train trains on the train part: as a stage of the run, with checkpoints, or in one go
 */
export async function measureTwin(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder' | 'inputs' | 'threads'>,
  run: number,
  { signal, report }: Heartbeat,
  train: (matrix: RatingMatrix) => Promise<Model>,
): Promise<Twin> {
  const { settings } = await loadRun(dependencies.connection.db, run);
  report({ step: 'loading the snapshot' });
  return withSnapshotMatrix(
    dependencies,
    { run, part: 'train' },
    signal,
    async (built, { columns, train: trainingSize }) => {
      const { matrix } = built;
      const started = performance.now();
      const model = await train(matrix);
      const trainingSeconds = (performance.now() - started) / 1000;
      report({ step: 'measuring on the holdout' });
      // The rows that the matrix was not built from are still what they were.
      built.holdout ??= await groupHoldout(
        matrix,
        {
          users: columns.users.subarray(trainingSize),
          items: columns.items.subarray(trainingSize),
          ratings: columns.ratings.subarray(trainingSize),
        },
        signal,
      );
      const evaluation = await evaluateModel(model, matrix, built.holdout, {
        k: 10,
        sample: { places: CHURN_PLACES, users: CHURN_USERS },
        minimumRatings: settings.recommendations.minimumRatings,
        threads: dependencies.threads,
        signal,
      });
      return { evaluation, trainingSize, checksum: checksumModel(model), trainingSeconds };
    },
  );
}

/** The same for an experiment, in one go: it keeps no checkpoints, and is asked for again where it was cut off. */
export function measureTwinAtOnce(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder' | 'inputs' | 'threads'>,
  run: number,
  configuration: Configuration,
  heartbeat: Heartbeat,
): Promise<Twin> {
  return measureTwin(dependencies, run, heartbeat, (matrix) =>
    trainModel(matrix, configuration, {
      threads: dependencies.threads,
      signal: heartbeat.signal,
      onIteration: reportIterations(heartbeat.report, configuration),
    }),
  );
}

/** The metrics of an evaluation as tables have them. */
export function metricColumns(evaluation: Evaluation): MetricColumns {
  return {
    rmse: evaluation.rmse,
    mae: evaluation.mae,
    rmse_with_fallback: evaluation.rmseWithFallback,
    mae_with_fallback: evaluation.maeWithFallback,
    precision_at_10: evaluation.precision,
    recall_at_10: evaluation.recall,
    ndcg_at_10: evaluation.ndcg,
    map_at_10: evaluation.map,
    coverage: evaluation.coverage,
    users: evaluation.users,
    predictions: evaluation.predictions,
    dropped: evaluation.dropped,
    popularity_at_10: evaluation.popularity,
  };
}

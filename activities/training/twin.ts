import type { MetricColumns } from '../../database/types/index.ts';
import {
  type Evaluation,
  type Model,
  type RatingMatrix,
  buildRatingMatrix,
  evaluateModel,
  splitRatings,
} from '../../recommender/index.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { checksumModel } from './checksum.ts';
import { loadSnapshot } from './model-input.ts';

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
  { connection, threads }: Pick<ActivityDependencies, 'connection' | 'threads'>,
  run: number,
  { signal, report }: Heartbeat,
  train: (matrix: RatingMatrix) => Promise<Model>,
): Promise<Twin> {
  const { settings } = await loadRun(connection.db, run);
  report({ step: 'loading the snapshot' });
  const parts = await splitRatings(
    await loadSnapshot(connection, run, signal),
    settings.evaluation.holdoutSeed,
    signal,
  );
  const matrix = await buildRatingMatrix(parts.train, signal);
  const started = performance.now();
  const model = await train(matrix);
  const trainingSeconds = (performance.now() - started) / 1000;
  report({ step: 'measuring on the holdout' });
  const evaluation = await evaluateModel(model, matrix, parts.holdout, {
    k: 10,
    minimumRatings: settings.recommendations.minimumRatings,
    threads,
    signal,
  });
  return {
    evaluation,
    trainingSize: parts.train.users.length,
    checksum: checksumModel(model),
    trainingSeconds,
  };
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
  };
}

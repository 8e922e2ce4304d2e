import { type RatingMatrix, buildRatingMatrix } from '../../recommender/index.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import { loadModelInput } from './model-input.ts';

/** Runs `body` over the matrix of a run's whole snapshot, whose memory is given back afterwards. */
export async function withSnapshotMatrix<Result>(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder'>,
  run: number,
  signal: AbortSignal,
  body: (matrix: RatingMatrix) => Promise<Result>,
): Promise<Result> {
  const { settings } = await loadRun(dependencies.connection.db, run);
  const { columns } = await loadModelInput(dependencies, run, settings.evaluation.holdoutSeed, signal);
  try {
    const matrix = await buildRatingMatrix(columns, { signal });
    columns.free();
    return await body(matrix);
  } finally {
    columns.release();
  }
}

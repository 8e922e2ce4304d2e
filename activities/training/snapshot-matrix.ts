import { type RatingMatrix, buildRatingMatrix, collectGarbage } from '../../recommender/index.ts';
import { databaseId } from '../../database/readers.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import type { BuiltInput, KeptInput, MatrixPart, ModelInput } from './kept-input.ts';
import { loadModelInput } from './model-input.ts';
import { registeredSplit } from './registered-split.ts';

type Dependencies = Pick<ActivityDependencies, 'connection' | 'cacheFolder' | 'inputs' | 'threads'>;

/**
 * Runs `body` over the matrix of a run's whole snapshot or of its train part, beside which the columns still hold the
 * holdout; leaves it for the next activity that wants the same.
 */
export async function withSnapshotMatrix<Result>(
  dependencies: Dependencies,
  { run, part }: { run: number; part: MatrixPart },
  signal: AbortSignal,
  body: (built: BuiltInput, input: ModelInput) => Promise<Result>,
): Promise<Result> {
  const { connection, inputs, threads } = dependencies;
  const { settings } = await loadRun(connection.db, run);
  const seed = settings.evaluation.holdoutSeed;
  const key = await inputKey(dependencies, run, seed);
  const kept = inputs.take(key, part);
  const input: KeptInput = kept ?? {
    ...(await loadModelInput(dependencies, run, seed, signal)),
    built: null,
  };
  try {
    input.built ??= { part, matrix: await buildMatrix(input, part, { threads, signal }) };
    const result = await body(input.built, input);
    inputs.leave(key, input);
    return result;
  } catch (error) {
    input.columns.release();
    throw error;
  } finally {
    collectGarbage();
  }
}

async function buildMatrix(
  { columns, train }: ModelInput,
  part: MatrixPart,
  options: { threads: number; signal: AbortSignal },
): Promise<RatingMatrix> {
  if (part === 'train') return buildRatingMatrix(columns, { ...options, rows: [0, train] });
  const matrix = await buildRatingMatrix(columns, options);
  columns.free();
  return matrix;
}

/** Under which an input is kept: its checksums, whatever run and database it is of; null where its split is not registered. */
export async function inputKey(
  { connection }: Pick<ActivityDependencies, 'connection'>,
  run: number,
  seed: number,
): Promise<string | null> {
  const split = await registeredSplit(connection, run, seed);
  if (split === undefined) return null;
  const database = await databaseId(connection.db);
  return [database, run, seed, split.train_checksum, split.holdout_checksum].join(' ');
}

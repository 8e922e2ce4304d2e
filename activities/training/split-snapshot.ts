import type { Db } from '../../database/connect.ts';
import { databaseId } from '../../database/readers.ts';
import { type ActivityDependencies, loadRun } from '../support/run.ts';
import type { StageAttempt, StageResult } from '../support/stage.ts';
import { imageKey } from './kept-input.ts';
import { loadModelInput } from './model-input.ts';
import { inputKey } from './snapshot-matrix.ts';

export interface SplitResult extends StageResult {
  train: number;
  holdout: number;
  note: string;
}

/** Loads the snapshot of the run, counts and checksums its stable split, and leaves it for the first twin. */
export async function splitSnapshot(
  dependencies: ActivityDependencies,
  attempt: StageAttempt,
  signal: AbortSignal,
): Promise<SplitResult> {
  const { connection, inputs } = dependencies;
  const { run } = attempt;
  const { settings } = await loadRun(connection.db, run);
  const seed = settings.evaluation.holdoutSeed;
  const { users, rated_movies } = await connection.db
    .selectFrom('silver.snapshots')
    .select(['users', 'rated_movies'])
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const image = await currentImage(connection.db, run);
  inputs.keepOnly(image);
  const takeLeft = () => inputs.take(image, 'whole')?.columns;
  const input = await loadModelInput(dependencies, run, seed, signal, takeLeft);
  try {
    const { train, checksums } = input;
    const ratings = input.columns.users.length;
    const holdout = ratings - train;
    const result = await attempt.finish(async ({ db }) => {
      await db
        .insertInto('gold.splits')
        .values({
          run,
          seed,
          ratings,
          train,
          holdout,
          users,
          movies: rated_movies,
          train_checksum: checksums.train,
          holdout_checksum: checksums.holdout,
        })
        .execute();
      return {
        rows: ratings,
        train,
        holdout,
        note: `${train.toLocaleString('en')} train, ${holdout.toLocaleString('en')} holdout`,
      };
    });
    inputs.leave(await inputKey(dependencies, run, seed), { ...input, built: null });
    return result;
  } catch (error) {
    input.columns.release();
    throw error;
  }
}

/** The key of the run's image as it is now; null where silver is not done. Tried again since, it is another's. */
async function currentImage(db: Db, run: number): Promise<string | null> {
  const silver = await db
    .selectFrom('pipeline.stages')
    .select('token')
    .where('run', '=', run)
    .where('stage', '=', 'silver')
    .where('status', '=', 'done')
    .executeTakeFirst();
  return silver === undefined ? null : imageKey(await databaseId(db), run, silver.token);
}

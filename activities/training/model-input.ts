import type { Connection } from '../../database/connect.ts';
import { readFixedColumns } from '../../database/copy-binary.ts';
import { databaseId } from '../../database/readers.ts';
import { copyBeside } from '../../database/gather.ts';
import { transaction } from '../../database/session.ts';
import { imageOf } from '../../database/snapshots.ts';
import { leavesOf } from '../../database/versions.ts';
import {
  RatingColumns,
  type RatingTriples,
  checksumOfRows,
  joinChecksums,
  splitRatings,
} from '../../recommender/index.ts';
import { allDone } from '../support/all-done.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { ModelInput } from './kept-input.ts';
import { patchSnapshot } from './patched-input.ts';
import {
  type RegisteredSplit,
  type SplitChecksums,
  checksumInput,
  registeredSplit,
} from './registered-split.ts';
import {
  type SnapshotKey,
  eachRows,
  readSnapshotFile,
  withSnapshotFile,
  writeSnapshotFile,
} from './snapshot-cache.ts';

/** A model input as it was loaded, with the checksums of its split. */
export interface LoadedInput extends ModelInput {
  checksums: SplitChecksums;
}

type Dependencies = Pick<ActivityDependencies, 'connection' | 'cacheFolder'>;

/** The checksum of no ratings. */
const NOTHING = '0'.repeat(16);

/**
 * The model input of a run: from this host's copy, trusted where it has the checksums that the run's split was registered
 * with, and no other; before there is one, from the copy of the run that it follows and what has changed since, or of what
 * silver has left of a whole image; else from PostgreSQL. Leaves a copy.
 * @param takeLeft gives what silver has left here, if it has
 * @throws where the snapshot is gone, or holds another number of rows than when it was written
 */
export async function loadModelInput(
  dependencies: Dependencies,
  run: number,
  seed: number,
  signal: AbortSignal,
  takeLeft: () => RatingColumns | undefined = () => undefined,
): Promise<LoadedInput> {
  const { connection, cacheFolder } = dependencies;
  const key: SnapshotKey = { folder: cacheFolder, database: await databaseId(connection.db), run, seed };
  const registered = await registeredSplit(connection, run, seed);
  const known =
    registered === undefined
      ? await patchSnapshot(connection, key, signal)
      : await readCopy(key, registered, signal);
  if (known !== null && registered !== undefined) return known;
  const input =
    known ?? (await split(takeLeft() ?? (await readColumns(connection, run, signal)), seed, signal));
  try {
    const [checksums] = await allDone([
      known === null ? checksumInput(input, signal) : Promise.resolve(known.checksums),
      writeSnapshotFile(key, input.columns, signal),
    ]);
    return { ...input, checksums };
  } catch (error) {
    input.columns.release();
    throw error;
  }
}

async function readCopy(
  key: SnapshotKey,
  { ratings, train, train_checksum, holdout_checksum }: RegisteredSplit,
  signal: AbortSignal,
): Promise<LoadedInput | null> {
  const columns = await readSnapshotFile(key, ratings, signal);
  if (columns === null) return null;
  const checksums = await checksumInput({ columns, train }, signal);
  if (checksums.train === train_checksum && checksums.holdout === holdout_checksum)
    return { columns, train, checksums };
  columns.release();
  return null;
}

/**
 * Shows the snapshot of a run as this host's copy has it, piece by piece: the same arrays each time, of which `count` rows are of
 * the piece.
 * @returns whether there is a copy that has the checksums of the run's split; where not, what was shown is worth nothing
 */
export async function eachRatingOfCopy(
  { connection, cacheFolder }: Dependencies,
  run: number,
  seed: number,
  signal: AbortSignal,
  take: (piece: RatingTriples, count: number) => void,
): Promise<boolean> {
  const registered = await registeredSplit(connection, run, seed);
  if (registered === undefined) return false;
  const { ratings: total, train, train_checksum, holdout_checksum } = registered;
  const key: SnapshotKey = { folder: cacheFolder, database: await databaseId(connection.db), run, seed };
  const isRight = await withSnapshotFile(key, total, signal, async (file) => {
    const show = async (from: number, rows: number): Promise<string> => {
      let checksum = NOTHING;
      await eachRows(file, { from, rows, total }, signal, (piece, count) => {
        take(piece, count);
        checksum = joinChecksums(checksum, checksumOfRows(piece, count));
      });
      return checksum;
    };
    const [first, second] = [await show(0, train), await show(train, total - train)];
    return first === train_checksum && second === holdout_checksum;
  });
  return isRight ?? false;
}

async function split(columns: RatingColumns, seed: number, signal: AbortSignal): Promise<ModelInput> {
  try {
    return { columns, train: await splitRatings(columns, seed, signal) };
  } catch (error) {
    columns.release();
    throw error;
  }
}

/**
 * Reads the snapshot by COPY straight into the engine's memory, 12 bytes a rating: its parts side by side, of which there are as
 * many as keep the processors busy, each as a table, which takes PostgreSQL less than a query of the same columns. All are
 * seen as they were at one moment: a later night may bring the image up to date meanwhile.
 */
async function readColumns(connection: Connection, run: number, signal: AbortSignal): Promise<RatingColumns> {
  return transaction(
    connection,
    async ({ db, client }) => {
      const image = await imageOf(db, run);
      const { silver_ratings: ratings } = await db
        .selectFrom('silver.snapshots')
        .select('silver_ratings')
        .where('run', '=', run)
        .executeTakeFirstOrThrow();
      const columns = new RatingColumns(ratings);
      try {
        const target = { columns: [columns.users, columns.items, columns.ratings], filled: 0 };
        const tables = await leavesOf(db, 'silver.ratings', image);
        await copyBeside(
          connection,
          client,
          { tables, columns: ['user_id', 'movie_id', 'rating'] },
          (copy) => readFixedColumns(copy, target),
          signal,
        );
        if (target.filled !== ratings)
          throw new Error(`run ${run}: its snapshot holds ${target.filled} ratings, ${ratings} were written`);
        return columns;
      } catch (error) {
        columns.release();
        throw error;
      }
    },
    { signal, isolation: 'repeatable read' },
  );
}

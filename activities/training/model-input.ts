import type { Connection } from '../../database/connect.ts';
import { copyOut } from '../../database/copy.ts';
import { readFixedColumns } from '../../database/copy-binary.ts';
import { databaseId } from '../../database/readers.ts';
import { transaction } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import { RatingColumns, checksumRatings, splitRatings } from '../../recommender/index.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { type SnapshotKey, readSnapshotFile, writeSnapshotFile } from './snapshot-cache.ts';

/** The ratings of a snapshot in the engine's memory: `train` rows of the train part, then the holdout. */
export interface ModelInput {
  columns: RatingColumns;
  train: number;
}

export interface SplitChecksums {
  train: string;
  holdout: string;
}

/** Two readers keep two PostgreSQL processes busy; more only queue on two cores. */
const READERS = 2;

/**
 * The model input of a run: from this host's copy, else from PostgreSQL, which leaves a copy. A copy is trusted where it
 * has the checksums that the run's split was registered with, and no other.
 * @throws where the snapshot is gone, or holds another number of rows than when it was written
 */
export async function loadModelInput(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder'>,
  run: number,
  seed: number,
  signal: AbortSignal,
): Promise<ModelInput> {
  const { connection, cacheFolder } = dependencies;
  const key: SnapshotKey = { folder: cacheFolder, database: await databaseId(connection.db), run, seed };
  const expected = await registeredSplit(connection, run, seed);
  if (expected !== undefined) {
    const columns = await readSnapshotFile(key, expected.ratings, signal);
    if (columns !== null) {
      const cached = { columns, train: expected.train };
      const found = await checksumInput(cached, signal);
      if (found.train === expected.train_checksum && found.holdout === expected.holdout_checksum)
        return cached;
      columns.release();
    }
  }
  const input = await readSnapshot(connection, run, seed, signal);
  try {
    await writeSnapshotFile(key, input.columns, signal);
    return input;
  } catch (error) {
    input.columns.release();
    throw error;
  }
}

export async function checksumInput(
  { columns, train }: ModelInput,
  signal: AbortSignal,
): Promise<SplitChecksums> {
  const [first, second] = await checksumRatings(columns, train, signal);
  return { train: first, holdout: second };
}

function registeredSplit({ db }: Connection, run: number, seed: number) {
  return db
    .selectFrom('gold.splits')
    .select(['ratings', 'train', 'train_checksum', 'holdout_checksum'])
    .where('run', '=', run)
    .where('seed', '=', seed)
    .executeTakeFirst();
}

/** Reads the snapshot by COPY straight into the engine's memory, 12 bytes a rating, and splits it there. */
async function readSnapshot(
  connection: Connection,
  run: number,
  seed: number,
  signal: AbortSignal,
): Promise<ModelInput> {
  const snapshot = await connection.db
    .selectFrom('silver.snapshots')
    .select('silver_ratings')
    .where('run', '=', run)
    .executeTakeFirst();
  if (snapshot === undefined) throw new Error(`run ${run} has no snapshot: stage silver has not written one`);
  const columns = new RatingColumns(snapshot.silver_ratings);
  try {
    const target = { columns: [columns.users, columns.items, columns.ratings], filled: 0 };
    const ranges = await pageRanges(connection, run);
    await Promise.all(
      ranges.map((range) =>
        transaction(
          connection,
          ({ client }) =>
            readFixedColumns(
              copyOut(
                client,
                `select user_id, movie_id, rating from ${partitionName('silver.ratings', run)} where ${range}`,
              ),
              target,
            ),
          { signal },
        ),
      ),
    );
    if (target.filled !== snapshot.silver_ratings) {
      throw new Error(
        `run ${run}: its snapshot holds ${target.filled} ratings, ${snapshot.silver_ratings} were written`,
      );
    }
    return { columns, train: await splitRatings(columns, seed, signal) };
  } catch (error) {
    columns.release();
    throw error;
  }
}

/** Conditions that cut the snapshot's pages into equal parts, one a reader. */
async function pageRanges({ pool }: Connection, run: number): Promise<string[]> {
  const { rows } = await pool.query<{ pages: number }>(
    `select (pg_relation_size($1::regclass) / current_setting('block_size')::integer)::integer as pages`,
    [partitionName('silver.ratings', run)],
  );
  const bound = (reader: number): number => Math.floor((rows[0].pages * reader) / READERS);
  return Array.from({ length: READERS }, (_, reader) =>
    reader + 1 === READERS
      ? `ctid >= '(${bound(reader)},0)'`
      : `ctid >= '(${bound(reader)},0)' and ctid < '(${bound(reader + 1)},0)'`,
  );
}

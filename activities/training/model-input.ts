import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { copyOut } from '../../database/copy.ts';
import { readFixedColumns } from '../../database/copy-binary.ts';
import { databaseId } from '../../database/readers.ts';
import { exportSnapshot, transaction } from '../../database/session.ts';
import { imageOf } from '../../database/snapshots.ts';
import { partitionName } from '../../database/versions.ts';
import { RatingColumns, splitRatings } from '../../recommender/index.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { ModelInput } from './kept-input.ts';
import { patchSnapshot } from './patched-input.ts';
import {
  type RegisteredSplit,
  type SplitChecksums,
  checksumInput,
  registeredSplit,
} from './registered-split.ts';
import { type SnapshotKey, readSnapshotFile, writeSnapshotFile } from './snapshot-cache.ts';

/** Two readers keep two PostgreSQL processes busy; more only queue on two cores. */
const READERS = 2;

/** A model input as it was loaded; with its checksums, where the way to it has found them. */
export interface LoadedInput extends ModelInput {
  checksums: SplitChecksums | null;
}

type Dependencies = Pick<ActivityDependencies, 'connection' | 'cacheFolder'>;

/**
 * The model input of a run: from this host's copy, trusted where it has the checksums that the run's split was registered
 * with, and no other; before there is one, from the copy of the run that it follows and what has changed since; else from
 * PostgreSQL. Leaves a copy.
 * @throws where the snapshot is gone, or holds another number of rows than when it was written
 */
export async function loadModelInput(
  dependencies: Dependencies,
  run: number,
  seed: number,
  signal: AbortSignal,
): Promise<LoadedInput> {
  const { connection, cacheFolder } = dependencies;
  const key: SnapshotKey = { folder: cacheFolder, database: await databaseId(connection.db), run, seed };
  const registered = await registeredSplit(connection, run, seed);
  const known =
    registered === undefined
      ? await patchSnapshot(connection, key, signal)
      : await readCopy(key, registered, signal);
  if (known !== null && registered !== undefined) return known;
  const input = known ?? { ...(await readSnapshot(connection, run, seed, signal)), checksums: null };
  try {
    await writeSnapshotFile(key, input.columns, signal);
    return input;
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
 * Reads the snapshot by COPY straight into the engine's memory, 12 bytes a rating, and splits it there. All readers see
 * the image as it was at one moment: a later night may bring it up to date meanwhile.
 */
async function readSnapshot(
  connection: Connection,
  run: number,
  seed: number,
  signal: AbortSignal,
): Promise<ModelInput> {
  return transaction(
    connection,
    async ({ db, client }) => {
      const image = await imageOf(db, run);
      const { silver_ratings: ratings } = await db
        .selectFrom('silver.snapshots')
        .select('silver_ratings')
        .where('run', '=', run)
        .executeTakeFirstOrThrow();
      const view = await exportSnapshot(client);
      const columns = new RatingColumns(ratings);
      try {
        const target = { columns: [columns.users, columns.items, columns.ratings], filled: 0 };
        await readRanges(connection, await pageRanges(db, image), target, { signal, ...view });
        if (target.filled !== ratings)
          throw new Error(`run ${run}: its snapshot holds ${target.filled} ratings, ${ratings} were written`);
        return { columns, train: await splitRatings(columns, seed, signal) };
      } catch (error) {
        columns.release();
        throw error;
      }
    },
    { signal, isolation: 'repeatable read' },
  );
}

async function readRanges(
  connection: Connection,
  ranges: string[],
  target: Parameters<typeof readFixedColumns>[1],
  view: { signal: AbortSignal; snapshot: string },
): Promise<void> {
  const read = async (): Promise<void> => {
    for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
      const query = `select user_id, movie_id, rating from ${range}`;
      await transaction(connection, ({ client }) => readFixedColumns(copyOut(client, query), target), view);
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
}

/** The tables of an image, each cut by its pages into equal parts, as many as there are readers: `table where condition`. */
async function pageRanges(db: Db, image: number): Promise<string[]> {
  const { rows } = await sql<{ table: string; pages: number }>`
    select relid::regclass::text as table,
           (pg_relation_size(relid) / current_setting('block_size')::integer)::integer as pages
    from pg_partition_tree(${partitionName('silver.ratings', image)}::regclass) where isleaf
    order by 1`.execute(db);
  return rows.flatMap(({ table, pages }) =>
    Array.from({ length: READERS }, (_, reader) => {
      const from = Math.floor((pages * reader) / READERS);
      const to = Math.floor((pages * (reader + 1)) / READERS);
      const below = reader + 1 === READERS ? '' : ` and ctid < '(${to},0)'`;
      return `${table} where ctid >= '(${from},0)'${below}`;
    }),
  );
}

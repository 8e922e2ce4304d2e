/**
 * The model input of a night that follows another, from this host's copy of that one's: the ratings of users who have
 * changed are replaced, which takes two seconds where reading 25 million from PostgreSQL takes eight.
 */

import { type FileHandle } from 'node:fs/promises';
import { sql } from 'kysely';
import type { Connection } from '../../database/connect.ts';
import { type FixedColumns, readFixedColumns } from '../../database/copy-binary.ts';
import { copyOut } from '../../database/copy.ts';
import { transaction } from '../../database/session.ts';
import { imageOf } from '../../database/snapshots.ts';
import {
  RatingColumns,
  type RatingTriples,
  checksumOfRows,
  createLookup,
  joinChecksums,
  sharedArray,
  splitRatings,
} from '../../recommender/index.ts';
import { changedUsers, followedBy, ofChangedUsers } from '../ingestion/batch.ts';
import type { ModelInput } from './kept-input.ts';
import {
  type RegisteredSplit,
  type SplitChecksums,
  checksumInput,
  registeredSplit,
} from './registered-split.ts';
import { type SnapshotKey, eachRows, withSnapshotFile } from './snapshot-cache.ts';

/** What tells a snapshot from the one that it follows. */
interface Changes {
  /** Users whose ratings are others, ascending. */
  users: Int32Array;
  /** All that they have now: the train part's first. */
  ratings: RatingTriples;
  train: number;
  /** In the whole snapshot. */
  rows: number;
}

/**
 * @returns null where the run follows none, this host has no copy of that one's, or it is damaged: its checksums, those of
 *   what is replaced taken off and of what replaces it added, must be those of the result
 */
export async function patchSnapshot(
  connection: Connection,
  key: SnapshotKey,
  signal: AbortSignal,
): Promise<(ModelInput & { checksums: SplitChecksums }) | null> {
  const { run, seed } = key;
  const follows = await followedBy(connection.db, run);
  if (follows === null) return null;
  const before = await registeredSplit(connection, follows, seed);
  if (before === undefined) return null;
  return withSnapshotFile({ ...key, run: follows }, before.ratings, signal, async (file) =>
    patch(file, before, await readChanges(connection, run, seed, signal), signal),
  );
}

async function readChanges(
  connection: Connection,
  run: number,
  seed: number,
  signal: AbortSignal,
): Promise<Changes> {
  const { users, ratings, rows } = await transaction(
    connection,
    async ({ db, client }) => {
      const { rows: counts } = await sql<Record<'users' | 'ratings' | 'rows', number>>`
        select count(*) as users, coalesce(sum(t.ratings), 0) as ratings,
               (select silver_ratings from silver.snapshots where run = ${run}) as rows
        from (${changedUsers(run)}) c left join gold.user_totals t on t.run = ${sql.lit(run)} and t.user_id = c.user_id`.execute(
        db,
      );
      const [count] = counts;
      const fill = async (target: FixedColumns, query: string): Promise<void> => {
        await readFixedColumns(copyOut(client, query), target);
        const places = target.columns[0].length;
        if (target.filled !== places) throw new Error(`expected ${places} rows, found ${target.filled}`);
      };
      const ids = new Int32Array(count.users);
      await fill({ columns: [ids], filled: 0 }, `${changedUsers(run).compile(db).sql} order by user_id`);
      const columns = sharedColumns(count.ratings);
      const image = await imageOf(db, run);
      const condition = ofChangedUsers(run).compile(db).sql;
      await fill(
        { columns: [columns.users, columns.items, columns.ratings], filled: 0 },
        `select user_id, movie_id, rating from silver.ratings where image = ${image} and ${condition}`,
      );
      return { users: ids, ratings: columns, rows: count.rows };
    },
    { signal, isolation: 'repeatable read' },
  );
  return { users, ratings, train: await splitRatings(ratings, seed, signal), rows };
}

/** In memory that a thread can see. */
function sharedColumns(rows: number): RatingTriples {
  return {
    users: sharedArray(Int32Array, rows),
    items: sharedArray(Int32Array, rows),
    ratings: sharedArray(Float32Array, rows),
  };
}

async function patch(
  file: FileHandle,
  before: RegisteredSplit,
  changes: Changes,
  signal: AbortSignal,
): Promise<ModelInput & { checksums: SplitChecksums }> {
  const columns = new RatingColumns(changes.rows);
  try {
    const target = { columns, filled: 0 };
    const added = changes.ratings.users.length;
    const holdout = { from: before.train, rows: before.ratings - before.train };
    const oldTrain = await keepUnchanged(
      file,
      before,
      { from: 0, rows: before.train },
      changes,
      target,
      signal,
    );
    const newTrain = append(target, changes.ratings, 0, changes.train);
    const train = target.filled;
    const oldHoldout = await keepUnchanged(file, before, holdout, changes, target, signal);
    const newHoldout = append(target, changes.ratings, changes.train, added);
    if (target.filled !== changes.rows)
      throw new Error(`${changes.rows} ratings were written, ${target.filled} are left and new`);
    const checksums = await checksumInput({ columns, train }, signal);
    if (
      joinChecksums(checksums.train, oldTrain) !== joinChecksums(before.train_checksum, newTrain) ||
      joinChecksums(checksums.holdout, oldHoldout) !== joinChecksums(before.holdout_checksum, newHoldout)
    )
      throw new Error('it has not the checksums that it was registered with');
    return { columns, train, checksums };
  } catch (error) {
    columns.release();
    throw error;
  }
}

interface Target {
  columns: RatingColumns;
  filled: number;
}

/** Takes over what users who have not changed have in a part of the copy. @returns the checksum of what is left out */
async function keepUnchanged(
  file: FileHandle,
  { ratings: total }: RegisteredSplit,
  part: { from: number; rows: number },
  changes: Changes,
  target: Target,
  signal: AbortSignal,
): Promise<string> {
  const indexOf = createLookup(changes.users);
  const { users, items, ratings } = target.columns;
  let leftOut = checksumOfRows(target.columns, 0);
  await eachRows(file, { ...part, total }, signal, (piece, count) => {
    let changed = 0;
    for (let row = 0; row < count; row++) {
      // Those that are left out gather at the beginning of the piece.
      const to = indexOf(piece.users[row]) < 0 ? target.filled++ : -1;
      if (to < 0) {
        piece.users[changed] = piece.users[row];
        piece.items[changed] = piece.items[row];
        piece.ratings[changed] = piece.ratings[row];
        changed++;
      } else {
        users[to] = piece.users[row];
        items[to] = piece.items[row];
        ratings[to] = piece.ratings[row];
      }
    }
    leftOut = joinChecksums(leftOut, checksumOfRows(piece, changed));
  });
  return leftOut;
}

/** @returns the checksum of what is appended */
function append(target: Target, from: RatingTriples, first: number, end: number): string {
  const rows = {
    users: from.users.subarray(first, end),
    items: from.items.subarray(first, end),
    ratings: from.ratings.subarray(first, end),
  };
  if (target.filled + rows.users.length > target.columns.users.length)
    throw new Error('more ratings than were written');
  target.columns.users.set(rows.users, target.filled);
  target.columns.items.set(rows.items, target.filled);
  target.columns.ratings.set(rows.ratings, target.filled);
  target.filled += rows.users.length;
  return checksumOfRows(rows, rows.users.length);
}

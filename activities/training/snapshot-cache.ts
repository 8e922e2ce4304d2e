/**
 * A host's copy of a snapshot as the engine wants it: three columns, one after the other, bytes in the machine's order.
 * Only a shortcut: whoever has none reads PostgreSQL.
 */

import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { log } from '@temporalio/activity';
import { RatingColumns, type RatingTriples } from '../../recommender/index.ts';

export interface SnapshotKey {
  /** Where copies lie; none are kept where it is null. */
  folder: string | null;
  database: string;
  run: number;
  /** Of the split: it decides the order of rows. */
  seed: number;
}

/** Large enough for the disk, small enough that a cancellation is noticed at once. */
const PIECE_BYTES = 1 << 24;
const BYTES_PER_RATING = 12;

function fileName({ database, run, seed }: SnapshotKey): string {
  return `${database}-run${run}-seed${seed}.ratings`;
}

/**
 * Reads a copy of so many `rows`; whether it is the right one is for the caller to find out.
 * @returns null where there is none of this size
 */
export async function readSnapshotFile(
  key: SnapshotKey,
  rows: number,
  signal: AbortSignal,
): Promise<RatingColumns | null> {
  return withSnapshotFile(key, rows, signal, async (file) => {
    const columns = new RatingColumns(rows);
    try {
      await eachPiece(columns, signal, async (piece, at) => {
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        return bytesRead;
      });
      return columns;
    } catch (error) {
      columns.release();
      throw error;
    }
  });
}

/**
 * Gives `body` a copy of so many `rows`.
 * @returns null where there is none of this size, or `body` fails on it: whoever asked reads PostgreSQL
 * @throws the signal's reason
 */
export async function withSnapshotFile<Result>(
  key: SnapshotKey,
  rows: number,
  signal: AbortSignal,
  body: (file: FileHandle) => Promise<Result>,
): Promise<Result | null> {
  const file = await openSnapshotFile(key, rows);
  if (file === null) return null;
  try {
    return await body(file);
  } catch (error) {
    signal.throwIfAborted();
    log.warn('the copy of the snapshot cannot be used: PostgreSQL is read', { run: key.run, error });
    return null;
  } finally {
    await file.close();
  }
}

async function openSnapshotFile(key: SnapshotKey, rows: number): Promise<FileHandle | null> {
  if (key.folder === null) return null;
  const file = await open(join(key.folder, fileName(key))).catch(() => null);
  if (file === null || (await file.stat()).size === rows * BYTES_PER_RATING) return file;
  await file.close();
  return null;
}

/** Leaves a copy, and drops those of earlier snapshots. A folder that cannot be written to is no reason to fail. */
export async function writeSnapshotFile(
  key: SnapshotKey,
  columns: RatingColumns,
  signal: AbortSignal,
): Promise<void> {
  const { folder } = key;
  if (folder === null) return;
  const target = join(folder, fileName(key));
  // Beside it first: whoever opens the name sees a whole file.
  const draft = `${target}.${randomUUID()}`;
  let file: FileHandle | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    file = await open(draft, 'wx', 0o600);
    const out = file;
    await eachPiece(
      columns,
      signal,
      async (piece, at) => (await out.write(piece, 0, piece.length, at)).bytesWritten,
    );
    await rename(draft, target);
    await dropOlder({ ...key, folder });
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    signal.throwIfAborted();
    log.warn('no copy of the snapshot is kept on this host', { folder, error });
  } finally {
    await file?.close();
  }
}

/**
 * Reads `rows` of a copy of `total`, from row `from` on, piece by piece: the same arrays each time, of which `count` rows
 * are of the piece.
 */
export async function eachRows(
  file: FileHandle,
  { from, rows, total }: { from: number; rows: number; total: number },
  signal: AbortSignal,
  take: (piece: RatingTriples, count: number) => void,
): Promise<void> {
  const piece = {
    users: new Int32Array(PIECE_ROWS),
    items: new Int32Array(PIECE_ROWS),
    ratings: new Float32Array(PIECE_ROWS),
  };
  for (let row = from; row < from + rows; row += PIECE_ROWS) {
    signal.throwIfAborted();
    const count = Math.min(PIECE_ROWS, from + rows - row);
    for (const [column, { buffer }] of [piece.users, piece.items, piece.ratings].entries()) {
      const { bytesRead } = await file.read(new Uint8Array(buffer), 0, count * 4, (column * total + row) * 4);
      if (bytesRead !== count * 4) throw new Error('the file ends too early');
    }
    take(piece, count);
  }
}

/** Some milliseconds of the event loop. */
const PIECE_ROWS = 1 << 18;

async function dropOlder({ folder, database, run }: SnapshotKey & { folder: string }): Promise<void> {
  for (const name of await readdir(folder)) {
    const other = /^(.+)-run(\d+)-/.exec(name);
    if (other !== null && other[1] === database && Number(other[2]) < run)
      await rm(join(folder, name), { force: true });
  }
}

async function eachPiece(
  { users, items, ratings }: RatingColumns,
  signal: AbortSignal,
  move: (piece: Uint8Array, at: number) => Promise<number>,
): Promise<void> {
  let start = 0;
  for (const { buffer, byteOffset, byteLength } of [users, items, ratings]) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let at = 0; at < byteLength;) {
      signal.throwIfAborted();
      const moved = await move(bytes.subarray(at, Math.min(byteLength, at + PIECE_BYTES)), start + at);
      if (moved === 0) throw new Error('the file ends too early');
      at += moved;
    }
    start += byteLength;
  }
}

import { createReadStream, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/settings.ts';
import type { RatingTriples } from '../recommender/index.ts';
import { readRatings } from './rating-lines.ts';

/** What a folder is looked through for, in this order. */
const FILES = ['ratings.csv', 'ratings.dat', 'u.data'];
/** Bytes read at a time. */
const CHUNK = 1 << 18;

interface Columns extends RatingTriples {
  rows: number;
}

/** What stands in a file, in the order of its lines. */
export interface RatingFile extends RatingTriples {
  path: string;
  /** Of the first rating: 2 where there is a header. */
  firstLine: number;
}

/**
 * The rating file that a path means: itself, or the one in a folder.
 * @throws UsageError where there is none
 */
export function findRatingFile(path: string): string {
  const found = [path, ...FILES.map((file) => join(path, file))].find(
    (file) => existsSync(file) && !statSync(file).isDirectory(),
  );
  if (found === undefined)
    throw new UsageError(`${path}: no such file; expected ratings, or a folder with ${FILES.join(' or ')}`);
  return found;
}

/**
 * Reads a rating file into columns; a timestamp may be missing and is not kept. Streamed: it takes the memory of the
 * columns, which is shared.
 * @throws UsageError that names the file and the line
 */
export async function readRatingFile(path: string): Promise<RatingFile> {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const stream = createReadStream(path, { highWaterMark: CHUNK });
  const { block, fills, position } = readRatings(path, stream, 3);
  let columns = allocate(0);
  try {
    for await (const rows of fills) {
      const needed = columns.rows + rows;
      // Room for all that the file will have, if the rest of it is like what was read.
      if (needed > columns.users.length)
        columns = allocate(Math.ceil(needed * Math.max(1.01, size / position.bytes)), columns);
      columns.users.set(block.users.subarray(0, rows), columns.rows);
      columns.items.set(block.movies.subarray(0, rows), columns.rows);
      columns.ratings.set(block.ratings.subarray(0, rows), columns.rows);
      columns.rows = needed;
    }
  } catch (error) {
    throw error instanceof UsageError || !(error instanceof Error)
      ? error
      : new UsageError(`${path}: ${error.message}`);
  }
  const { users, items, ratings, rows } = columns;
  return {
    path,
    firstLine: position.firstLine,
    users: users.subarray(0, rows),
    items: items.subarray(0, rows),
    ratings: ratings.subarray(0, rows),
  };
}

function allocate(capacity: number, from?: Columns): Columns {
  const columns: Columns = {
    users: new Int32Array(new SharedArrayBuffer(capacity * 4)),
    items: new Int32Array(new SharedArrayBuffer(capacity * 4)),
    ratings: new Float32Array(new SharedArrayBuffer(capacity * 4)),
    rows: from?.rows ?? 0,
  };
  if (from === undefined) return columns;
  columns.users.set(from.users);
  columns.items.set(from.items);
  columns.ratings.set(from.ratings);
  return columns;
}

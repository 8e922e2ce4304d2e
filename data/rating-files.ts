/** Rating files as they are published: `ratings.csv`, `ratings.dat` with `::`, `u.data` with tabs. */

import { existsSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../config/settings.ts';
import type { RatingTriples } from '../recommender/index.ts';

/** What a folder is looked through for, in this order. */
const FILES = ['ratings.csv', 'ratings.dat', 'u.data'];
const NAMES = ['userId', 'movieId', 'rating', 'timestamp'];
const SEPARATORS = ['::', '\t', ','];
/** Bytes read at a time; no line is longer. */
const BLOCK = 1 << 20;
/** Bytes of the shortest line: `1,1,1` and its end. */
const SHORTEST = 6;
const [ZERO, MINUS, POINT, NEWLINE, RETURN] = Buffer.from('0-.\n\r');
/** Digits that a double holds exactly. */
const EXACT_DIGITS = 15;

interface Format {
  separator: string;
  /** Three, or four with a timestamp. */
  fields: number;
  hasHeader: boolean;
}

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
 * Reads a rating file by columns, in the order of its lines: user, movie, rating and a timestamp, which may be
 * missing and is not kept; a header is skipped. Streamed: it takes the memory of the columns, which is shared.
 * @throws UsageError that names the file and the line
 */
export async function readRatingFile(path: string): Promise<RatingFile> {
  const file = await open(path).catch((error: unknown) => {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    const { size } = await file.stat();
    let format: Format | null = null;
    let columns = allocate(0);
    let firstLine = 1;
    let read = 0;
    for await (const block of blocksOfLines(file)) {
      let from = 0;
      if (format === null) {
        format = formatOf(path, lineAt(block, 0));
        from = format.hasHeader ? block.indexOf(NEWLINE) + 1 : 0;
        firstLine = format.hasHeader ? 2 : 1;
      }
      read += block.length;
      const needed = columns.rows + Math.ceil(block.length / SHORTEST);
      // Room for all that the file will have, if the rest of it is like what was read.
      if (needed > columns.users.length)
        columns = allocate(needed + Math.ceil(columns.rows * (size / read)), columns);
      const malformed = parseLines(block, from, format, columns);
      if (malformed === null) continue;
      throw unexpected(path, firstLine + columns.rows, format, lineAt(block, malformed));
    }
    if (columns.rows === 0) throw new UsageError(`${path}: expected ratings, found none`);
    const { users, items, ratings, rows } = columns;
    return {
      path,
      firstLine,
      users: users.subarray(0, rows),
      items: items.subarray(0, rows),
      ratings: ratings.subarray(0, rows),
    };
  } finally {
    await file.close();
  }
}

/** Blocks of whole lines; the last line has an end even where the file leaves it out. */
async function* blocksOfLines(file: FileHandle): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(BLOCK + 1);
  for (let kept = 0; ;) {
    const { bytesRead } = await file.read(buffer, kept, BLOCK - kept);
    if (bytesRead === 0 && kept > 0) buffer[kept++] = NEWLINE;
    const end = kept + bytesRead;
    // A line that fills the buffer is none of ours: the parser says so.
    const whole = buffer.subarray(0, end).lastIndexOf(NEWLINE) + 1 || end;
    if (whole > 0) yield buffer.subarray(0, whole);
    if (bytesRead === 0) return;
    buffer.copyWithin(0, whole, end);
    kept = end - whole;
  }
}

function lineAt(block: Buffer, from: number): string {
  const end = block.indexOf(NEWLINE, from);
  return block.toString('latin1', from, end === -1 ? block.length : end).replace(/\r$/, '');
}

function formatOf(path: string, line: string): Format {
  const separator = SEPARATORS.find((text) => line.includes(text)) ?? ',';
  const fields = line.split(separator);
  const format = {
    separator,
    fields: fields.length,
    hasHeader: fields.every((name, at) => name === NAMES[at]),
  };
  if (fields.length < 3 || fields.length > 4) throw unexpected(path, 1, { ...format, fields: 4 }, line);
  return format;
}

function unexpected(path: string, line: number, { separator, fields }: Format, found: string): UsageError {
  const expected = NAMES.slice(0, fields).join(separator);
  return new UsageError(
    `${path}, line ${line}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found.slice(0, 80))}`,
  );
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

/**
 * Appends the lines of a block, from bytes: strings of 25 million lines would take most of a minute.
 * @returns where the first line begins that is malformed, or null
 */
function parseLines(bytes: Uint8Array, from: number, format: Format, columns: Columns): number | null {
  const { users, items, ratings } = columns;
  const separator = Buffer.from(format.separator);
  let at = from;
  /** Digits from `at` on, as a whole number; NaN where there is none, or more than a double holds. */
  const digits = (): number => {
    const start = at;
    let value = 0;
    for (let digit = bytes[at] - ZERO; digit >= 0 && digit <= 9; digit = bytes[++at] - ZERO) {
      value = value * 10 + digit;
    }
    return at === start || at - start > EXACT_DIGITS ? Number.NaN : value;
  };
  const integer = (): number => {
    if (bytes[at] !== MINUS) return digits();
    at++;
    return -digits();
  };
  const decimal = (): number => {
    const sign = bytes[at] === MINUS ? -1 : 1;
    if (sign < 0) at++;
    const whole = digits();
    if (bytes[at] !== POINT) return sign * whole;
    const start = ++at;
    const fraction = digits();
    return sign * (whole + fraction / 10 ** (at - start));
  };
  const skip = (): boolean => {
    for (const byte of separator) if (bytes[at++] !== byte) return false;
    return true;
  };
  const skipEnd = (): boolean => {
    if (bytes[at] === RETURN) at++;
    return bytes[at++] === NEWLINE;
  };
  while (at < bytes.length) {
    const line = at;
    const user = integer();
    const item = skip() ? integer() : Number.NaN;
    const rating = skip() ? decimal() : Number.NaN;
    const timestamp = format.fields === 3 ? 0 : skip() ? integer() : Number.NaN;
    // An id beyond 32 bits, and NaN, are no longer what they were.
    const isWhole = (user | 0) === user && (item | 0) === item;
    if (!isWhole || Number.isNaN(rating + timestamp) || !skipEnd()) return line;
    users[columns.rows] = user;
    items[columns.rows] = item;
    ratings[columns.rows++] = rating;
  }
  return null;
}

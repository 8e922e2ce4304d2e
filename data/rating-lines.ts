/** Ratings as they are published: `ratings.csv`, `ratings.dat` with `::`, `u.data` with tabs. */

import { UsageError } from '../config/settings.ts';
import { LAST_SECOND } from '../database/copy-columns.ts';
import { NEWLINE, RETURN, blocksOfLines, lineAt } from './lines.ts';
import { type RatingBlock, createBlock } from './rating-block.ts';

const NAMES = ['userId', 'movieId', 'rating', 'timestamp'];
const SEPARATORS = ['::', '\t', ','];
/** Rows of a block: few enough to stay in a processor's cache. */
const BLOCK_ROWS = 8_192;
const [ZERO, MINUS, POINT] = Buffer.from('0-.');
/** Digits that a double holds exactly. */
const EXACT_DIGITS = 15;

interface Format {
  separator: string;
  /** Three, or four with a timestamp. */
  fields: number;
  hasHeader: boolean;
}

/** Ratings that are being read. */
export interface RatingReader {
  /** Holds the rows of one fill after another; their seconds are zero where the file has none. */
  block: RatingBlock;
  /** Fills the block with the next lines, and gives the number of rows each time. */
  fills: AsyncIterable<number>;
  /** How far it is; the first rating's line is 2 where there is a header. */
  position: { bytes: number; firstLine: number };
}

/**
 * Reads ratings by columns, in the order of their lines: user, movie, rating and a timestamp; a header is skipped. The
 * fills throw a UsageError that names the file and the line where one is malformed, or that there is none.
 * @param path names the file
 * @param least fields of a line: 3 where the timestamp may be missing
 */
export function readRatings(path: string, chunks: AsyncIterable<Buffer>, least: 3 | 4): RatingReader {
  const block = createBlock(BLOCK_ROWS);
  const position = { bytes: 0, firstLine: 1 };
  async function* fill(): AsyncGenerator<number> {
    let format: Format | null = null;
    let rowsBefore = 0;
    for await (const lines of blocksOfLines(chunks)) {
      let at = 0;
      if (format === null) {
        format = formatOf(path, lineAt(lines, 0).toString('latin1'), least);
        position.firstLine = format.hasHeader ? 2 : 1;
        at = format.hasHeader ? lines.indexOf(NEWLINE) + 1 : 0;
      }
      while (at < lines.length) {
        const { rows, end } = parseLines(lines, at, format, block);
        if (rows === 0)
          throw unexpected(
            path,
            position.firstLine + rowsBefore,
            format,
            lineAt(lines, end).toString('latin1'),
          );
        position.bytes += end - at;
        rowsBefore += rows;
        at = end;
        yield rows;
      }
    }
    if (rowsBefore === 0) throw new UsageError(`${path}: expected ratings, found none`);
  }
  return { block, fills: fill(), position };
}

function formatOf(path: string, line: string, least: number): Format {
  const separator = SEPARATORS.find((text) => line.includes(text)) ?? ',';
  const fields = line.split(separator);
  const hasHeader = fields.every((name, at) => name === NAMES[at]);
  const format = { separator, fields: fields.length, hasHeader };
  if (fields.length < least || fields.length > 4) throw unexpected(path, 1, { ...format, fields: 4 }, line);
  return format;
}

function unexpected(path: string, line: number, { separator, fields }: Format, found: string): UsageError {
  const expected = NAMES.slice(0, fields).join(separator);
  return new UsageError(
    `${path}, line ${line}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found.slice(0, 80))}`,
  );
}

/**
 * Fills the block with lines, as many as it takes or as are well-formed.
 * @returns the number of rows, and where the next line begins; none only where the first line is malformed
 */
function parseLines(
  bytes: Uint8Array,
  from: number,
  format: Format,
  { users, movies, ratings, seconds }: RatingBlock,
): { rows: number; end: number } {
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
  let rows = 0;
  for (let line = at; at < bytes.length && rows < users.length; line = at) {
    const user = integer();
    const movie = skip() ? integer() : Number.NaN;
    const rating = skip() ? decimal() : Number.NaN;
    const second = format.fields === 3 ? 0 : skip() ? digits() : Number.NaN;
    // An id beyond 32 bits, and NaN, are no longer what they were.
    const isWhole = (user | 0) === user && (movie | 0) === movie;
    if (!isWhole || Number.isNaN(rating) || !(second <= LAST_SECOND) || !skipEnd())
      return { rows, end: line };
    users[rows] = user;
    movies[rows] = movie;
    ratings[rows] = rating;
    seconds[rows++] = second;
  }
  return { rows, end: at };
}

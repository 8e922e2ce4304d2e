import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { UsageError } from '../config/settings.ts';
import { MOVIELENS, hasMovieLens, readRatings } from '../test/support/movielens.ts';
import { findRatingFile, readRatingFile } from './rating-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightjar-ratings-'));
  return () => rmSync(folder, { recursive: true });
});

function write(content: string, name = 'ratings.csv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test.each([
  ['ratings.csv', 'userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n-7,2147483647,4,0\n', 2],
  ['… without timestamps', 'userId,movieId,rating\n1,31,2.5\n-7,2147483647,4.0\n', 2],
  ['… without a header', '1,31,2.5,1260759144\n-7,2147483647,4,0\n', 1],
  ['… as Windows ends lines', 'userId,movieId,rating,timestamp\r\n1,31,2.5,1\r\n-7,2147483647,4,0\r\n', 2],
  ['ratings.dat', '1::31::2.5::1260759144\n-7::2147483647::4::0\n', 1],
  ['… without timestamps', '1::31::2.5\n-7::2147483647::4', 1],
  ['u.data', '1\t31\t2.5\t1260759144\n-7\t2147483647\t4\t0\n', 1],
  ['… without timestamps', '1\t31\t2.5\n-7\t2147483647\t4', 1],
])('reads %s', async (_name, content, firstLine) => {
  const path = write(content);
  expect(await readRatingFile(path)).toEqual({
    path,
    firstLine,
    users: Int32Array.of(1, -7),
    items: Int32Array.of(31, 2_147_483_647),
    ratings: Float32Array.of(2.5, 4),
  });
});

test.each([
  ['a word for a number', '7,1,4.5,1\n8,1,good,1\n', 3, '8,1,good,1'],
  ['a field too few', '7,1,4.5\n', 2, '7,1,4.5'],
  ['a field too many', '7,1,4.5,1,1\n', 2, '7,1,4.5,1,1'],
  ['nothing for an id', ',1,4.5,1\n', 2, ',1,4.5,1'],
  ['an id that is not whole', '7,1.5,4.5,1\n', 2, '7,1.5,4.5,1'],
  ['an id beyond 32 bits', '7,2147483648,4.5,1\n', 2, '7,2147483648,4.5,1'],
  ['a rating without digits', '7,1,.,1\n', 2, '7,1,.,1'],
  ['a line without anything', '7,1,4.5,1\n\n8,1,4,1\n', 3, ''],
  ['another separator later on', '7,1,4.5,1\n7\t2\t4\t1\n', 3, '7\t2\t4\t1'],
  ['a last line that is cut off', '7,1,4.5,1\n7,2,', 3, '7,2,'],
])('%s is refused with file and line', async (_name, lines, line, found) => {
  const path = write(`userId,movieId,rating,timestamp\n${lines}`);
  const failed = readRatingFile(path);
  await expect(failed).rejects.toThrow(UsageError);
  await expect(failed).rejects.toThrow(`${path}, line ${line}: expected "userId,movieId,rating,timestamp"`);
  await expect(failed).rejects.toThrow(`found ${JSON.stringify(found)}`);
});

test.each([
  ['another header', 'user;movie;stars\n1;1;4\n', 'line 1: expected'],
  ['columns in another order', 'movieId,userId,rating\n1,1,4\n', 'line 1: expected'],
  ['a header and nothing else', 'userId,movieId,rating\n', 'expected ratings, found none'],
  ['nothing at all', '', 'expected ratings, found none'],
  ['no lines', 'x'.repeat(3 << 20), 'line 1: expected'],
])('a file of %s is refused', async (_name, content, says) => {
  await expect(readRatingFile(write(content))).rejects.toThrow(says);
});

test('lines across the blocks that are read at once come out whole, and a bad one late has its number', async () => {
  const size = 300_000;
  const lines = Array.from(
    { length: size },
    (_, row) => `${row + 1},${(row % 97) + 1},${(row % 10) / 2 + 0.5},1`,
  );
  const { users, items, ratings } = await readRatingFile(write(lines.join('\n')));
  expect(users).toEqual(Int32Array.from(lines, (_, row) => row + 1));
  expect(items).toEqual(Int32Array.from(lines, (_, row) => (row % 97) + 1));
  expect(ratings).toEqual(Float32Array.from(lines, (_, row) => (row % 10) / 2 + 0.5));
  lines[size - 2] = 'bad';
  await expect(readRatingFile(write(lines.join('\n')))).rejects.toThrow(`line ${size - 1}: expected`);
});

test('a folder means the rating file in it', () => {
  expect(() => findRatingFile(folder)).toThrow(
    'no such file; expected ratings, or a folder with ratings.csv',
  );
  mkdirSync(join(folder, 'ratings.csv'));
  const path = write('1\t1\t4\t1\n', 'u.data');
  expect(findRatingFile(folder)).toBe(path);
  expect(findRatingFile(path)).toBe(path);
});

test.skipIf(!hasMovieLens)('reads ml-latest-small as another reader does', async () => {
  const { users, items, ratings } = readRatings();
  expect(await readRatingFile(`${MOVIELENS}/ratings.csv`)).toMatchObject({ users, items, ratings });
});

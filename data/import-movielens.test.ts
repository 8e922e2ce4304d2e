import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../config/settings.ts';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { MOVIELENS, hasMovieLens, readRatings } from '../test/support/movielens.ts';
import { SETS, TITLES, writeFolder, writeZip } from '../test/support/published-sets.ts';
import { emptySource } from '../test/support/source.ts';
import { checkMovieLens, importMovieLens } from './import-movielens.ts';
import { type LoadProgress, sourceState } from './load.ts';

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await emptySource(database);
  folder = mkdtempSync(join(tmpdir(), 'nightjar-import-'));
  return () => rmSync(folder, { recursive: true });
});

const HEADER = 'userId,movieId,rating,timestamp\n';
const MOVIES = 'movieId,title,genres\n1,One (1999),Drama\n';

async function content(): Promise<unknown[]> {
  const ratings = await database.pool.query<object>(
    `select user_id, movie_id, rating, extract(epoch from rating_timestamp)::integer as seconds
     from movielens.ratings order by user_id, movie_id`,
  );
  const movies = await database.pool.query<object>('select * from movielens.movies order by movie_id');
  return [...ratings.rows, ...movies.rows];
}

const EXPECTED = [
  { user_id: 1, movie_id: 1, rating: 4.5, seconds: 1_514_764_800 },
  { user_id: 1, movie_id: 3, rating: 0.5, seconds: 0 },
  { user_id: 2, movie_id: 2, rating: 5, seconds: 946_684_799 },
  { user_id: 7, movie_id: 1, rating: 3, seconds: 1_147_880_044 },
  { movie_id: 1, title: TITLES[0], genres: 'Action|Crime' },
  { movie_id: 2, title: TITLES[1], genres: '(no genres listed)' },
  { movie_id: 3, title: TITLES[2], genres: 'Drama' },
];

test.each(Object.entries(SETS))('imports a set in %s, as a folder and as a zip', async (_name, files) => {
  const unpacked = writeFolder(join(folder, 'ml-x'), files);
  const zip = await writeZip(join(folder, 'ml-x.zip'), {
    // Of the same name, and not what is meant.
    'extras/ratings.csv': HEADER,
    ...files,
  });
  for (const path of [unpacked, zip]) {
    await emptySource(database);
    const progress: LoadProgress[] = [];
    const options = { onProgress: (one: LoadProgress) => progress.push(one) };
    expect(await importMovieLens(database, path, options)).toEqual({ ratings: 4, movies: 3 });
    expect(await content()).toEqual(EXPECTED);
    expect(progress.map(({ what, done }) => [what, done])).toEqual([
      ['movies', 3],
      ['ratings', 4],
    ]);
    expect(await sourceState(database)).toBe('ours');
  }
  // One set has one name, however it lies there.
  expect(await checkMovieLens(zip)).toBe(await checkMovieLens(unpacked));
});

test.each([
  ['a word for a number', '7,1,4.5,1514764800\n8,1,good,1514764800\n', 'ratings.csv, line 3'],
  ['a column too few', '7,1,4.5\n', 'ratings.csv, line 2'],
  ['a column too many', '7,1,4.5,1,1\n', 'ratings.csv, line 2'],
  ['nothing for a key', ',1,4.5,1514764800\n', 'ratings.csv, line 2'],
  ['an instant that there is not', '7,1,4.5,84743496299999999\n', 'ratings.csv, line 2'],
  ['an instant before 1970', '7,1,4.5,-1\n', 'ratings.csv, line 2'],
  ['no row at all', '', 'ratings.csv: expected ratings, found none'],
])('%s is refused with file and line, and nothing of the load stays', async (_name, lines, says) => {
  writeFolder(folder, { 'ratings.csv': `${HEADER}1,1,3,1514764800\n`, 'movies.csv': MOVIES });
  await importMovieLens(database, folder);
  const before = await content();
  writeFolder(folder, { 'ratings.csv': `${HEADER}${lines}` });
  const failed = importMovieLens(database, folder);
  await expect(failed).rejects.toThrow(UsageError);
  await expect(failed).rejects.toThrow(says);
  expect(await content()).toEqual(before);
});

test.each<[string, Record<string, string>, string]>([
  ['nothing', {}, 'no ratings in it; expected a MovieLens folder or its zip'],
  ['no movies', { 'ratings.dat': '1::1::4::1\n' }, 'no movies.dat beside ratings.dat'],
  [
    'another header',
    { 'ratings.csv': 'user,movie\n', 'movies.csv': MOVIES },
    'ratings.csv, line 1: expected the header',
  ],
  [
    'no movie',
    { 'ratings.csv': HEADER, 'movies.csv': 'movieId,title,genres\n' },
    'movies.csv: expected movies, found none',
  ],
  [
    'a movie without a title',
    { 'ratings.csv': HEADER, 'movies.csv': `${MOVIES}2,,Drama\n` },
    'movies.csv, line 3',
  ],
  [
    'no timestamps',
    { 'ratings.dat': '1::1::4\n', 'movies.dat': '1::One::Drama\n' },
    'ratings.dat, line 1: expected "userId::movieId::rating::timestamp"',
  ],
  [
    'a movie without genres',
    { 'ratings.dat': '1::1::4::1\n', 'movies.dat': '1::One::Drama\n2::Two\n' },
    'movies.dat, line 2: expected MovieID::Title::Genres, found "2::Two"',
  ],
  [
    'a movie of another id',
    { 'ratings.dat': '1::1::4::1\n', 'movies.dat': 'one::One::Drama\n' },
    'movies.dat, line 1: invalid input syntax',
  ],
  [
    'a flag too few',
    { 'u.data': '1\t1\t4\t1\n', 'u.item': `1|One||||${'0|'.repeat(17)}0\n` },
    'u.item, line 1: expected 24 fields',
  ],
])('a folder with %s is refused', async (_name, files, says) => {
  const failed = importMovieLens(database, writeFolder(folder, files));
  await expect(failed).rejects.toThrow(UsageError);
  await expect(failed).rejects.toThrow(says);
  expect(await content()).toEqual([]);
});

test('a path that is nothing, and a file that is no zip, are refused', async () => {
  await expect(importMovieLens(database, join(folder, 'nothing'))).rejects.toThrow('no such folder or file');
  writeFileSync(join(folder, 'x.zip'), 'no zip');
  await expect(importMovieLens(database, join(folder, 'x.zip'))).rejects.toThrow(/x\.zip: .*not a zip/);
});

test('a zip that is damaged or cut off is refused, and nothing of the load stays', async () => {
  const ratings = `${HEADER}${Array.from({ length: 50_000 }, (_, row) => `${row + 1},1,3,${row}\n`).join('')}`;
  const path = await writeZip(join(folder, 'x.zip'), { 'movies.csv': MOVIES, 'ratings.csv': ratings });
  const bytes = readFileSync(path);
  // The checksum of the ratings, in the directory at the end of the zip.
  const entry = bytes.lastIndexOf('set/ratings.csv') - 46;
  bytes[entry + 16] ^= 1;
  writeFileSync(path, bytes);
  await expect(importMovieLens(database, path)).rejects.toThrow(
    'set/ratings.csv: its checksum is another one',
  );
  bytes[entry + 16] ^= 1;
  bytes.fill(0xff, bytes.indexOf('set/ratings.csv') + 1_000, bytes.indexOf('set/ratings.csv') + 1_100);
  writeFileSync(path, bytes);
  await expect(importMovieLens(database, path)).rejects.toThrow('the zip is damaged');
  writeFileSync(path, bytes.subarray(0, bytes.length / 2));
  await expect(importMovieLens(database, path)).rejects.toThrow(UsageError);
  expect(await content()).toEqual([]);
});

test('ratings across the chunks that are read at once come out whole', async () => {
  const size = 100_000;
  const lines = Array.from({ length: size }, (_, row) => `${row + 1},1,${(row % 10) / 2 + 0.5},${row}\n`);
  const files = { 'ratings.csv': `${HEADER}${lines.join('')}`, 'movies.csv': MOVIES };
  for (const path of [writeFolder(folder, files), await writeZip(join(folder, 'x.zip'), files)]) {
    await importMovieLens(database, path);
    const { rows } = await database.pool.query(`
      select count(*) as rows, count(distinct user_id) as users,
             bool_and(rating = ((user_id - 1) % 10) / 2.0 + 0.5
                      and rating_timestamp = to_timestamp(user_id - 1) at time zone 'UTC') as right
      from movielens.ratings`);
    expect(rows).toEqual([{ rows: size, users: size, right: true }]);
  }
});

test.skipIf(!hasMovieLens)('imports ml-latest-small row by row', async () => {
  expect(await importMovieLens(database, MOVIELENS)).toEqual({ ratings: 100_836, movies: 9_742 });
  const { rows } = await database.pool.query<Record<string, number[]>>(`
    select array_agg(user_id order by user_id, movie_id) as users,
           array_agg(movie_id order by user_id, movie_id) as items,
           array_agg(rating order by user_id, movie_id) as ratings,
           array_agg(extract(epoch from rating_timestamp)::bigint order by user_id, movie_id) as seconds
    from movielens.ratings`);
  const { users, items, ratings, seconds } = readRatings();
  const order = Array.from(users.keys()).sort((a, b) => users[a] - users[b] || items[a] - items[b]);
  expect(rows[0].users).toEqual(order.map((row) => users[row]));
  expect(rows[0].items).toEqual(order.map((row) => items[row]));
  expect(rows[0].ratings).toEqual(order.map((row) => ratings[row]));
  expect(rows[0].seconds.map(Number)).toEqual(order.map((row) => seconds[row]));
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../config/settings.ts';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { MOVIELENS, hasMovieLens, readRatings } from '../test/support/movielens.ts';
import { emptySource, insertRatings } from '../test/support/source.ts';
import { generateRatings } from './generate.ts';
import { importMovieLens } from './import-movielens.ts';
import { sourceState } from './load.ts';

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

function write(ratings: string, movies = 'movieId,title,genres\n1,"Heat, The (1995)",Action|Crime\n'): void {
  writeFileSync(join(folder, 'ratings.csv'), ratings);
  writeFileSync(join(folder, 'movies.csv'), movies);
}

async function fingerprint(): Promise<unknown> {
  const { rows } = await database.pool.query(`
    select (select count(*) from movielens.ratings) as ratings, (select count(*) from movielens.movies) as movies,
           (select sum(hashtextextended(r::text, 0)) from movielens.ratings r) as hash`);
  return rows[0];
}

test('imports a folder as it is', async () => {
  write('userId,movieId,rating,timestamp\n7,1,4.5,1514764800\n');
  expect(await importMovieLens(database, folder)).toEqual({ ratings: 1, movies: 1 });
  const { rows } = await database.pool.query('select * from movielens.ratings');
  expect(rows).toEqual([
    { user_id: 7, movie_id: 1, rating: 4.5, rating_timestamp: new Date('2018-01-01T00:00:00') },
  ]);
  expect((await database.pool.query('select title from movielens.movies')).rows).toEqual([
    { title: 'Heat, The (1995)' },
  ]);
  expect(await sourceState(database)).toBe('ours');
});

test.each([
  ['a word for a number', '7,1,4.5,1514764800\n8,1,good,1514764800\n', 'ratings.csv, line 3'],
  ['a column too few', '7,1,4.5\n', 'ratings.csv, line 2'],
  ['a column too many', '7,1,4.5,1,1\n', 'ratings.csv, line 2'],
  ['nothing for a key', ',1,4.5,1514764800\n', 'ratings.csv, line 2'],
  ['an instant that there is not', '7,1,4.5,84743496299999999\n', 'ratings.csv, line 2'],
  ['no row at all', '', 'ratings.csv: expected rows under its header'],
])('%s is refused with file and line, and nothing of the load stays', async (_name, lines, says) => {
  write('userId,movieId,rating,timestamp\n1,1,3,1514764800\n');
  await importMovieLens(database, folder);
  const before = await fingerprint();
  write(`userId,movieId,rating,timestamp\n${lines}`);
  const failed = importMovieLens(database, folder);
  await expect(failed).rejects.toThrow(UsageError);
  await expect(failed).rejects.toThrow(says);
  expect(await fingerprint()).toEqual(before);
});

test('a folder without the files, or with another header, is refused', async () => {
  await expect(importMovieLens(database, folder)).rejects.toThrow('ratings.csv: no such file');
  write('user,movie,stars\n');
  await expect(importMovieLens(database, folder)).rejects.toThrow('ratings.csv, line 1: expected the header');
});

test('a source that was not loaded by us is left alone', async () => {
  await insertRatings(database, [[1, 1, 4, '2026-01-01']]);
  const before = await fingerprint();
  write('userId,movieId,rating,timestamp\n7,1,4.5,1514764800\n');
  await expect(importMovieLens(database, folder)).rejects.toThrow('did not load');
  await expect(
    generateRatings(database, { ratings: 1_000, seed: 1, end: new Date('2026-01-31') }),
  ).rejects.toThrow('did not load');
  expect(await fingerprint()).toEqual(before);
});

test('the generator gives the same ratings for a seed, and the shape that was asked for', async () => {
  const end = new Date('2026-01-31');
  await generateRatings(database, { ratings: 20_000, seed: 7, end });
  const first = await fingerprint();
  expect(first).toMatchObject({ ratings: 20_000 });
  await generateRatings(database, { ratings: 20_000, seed: 7, end });
  expect(await fingerprint()).toEqual(first);
  await generateRatings(database, { ratings: 20_000, seed: 8, end });
  expect(await fingerprint()).not.toEqual(first);

  const { rows } = await database.pool.query<Record<string, number>>(`
    select count(*) - count(distinct (user_id, movie_id)) as doubled,
           count(*) filter (where rating_timestamp > '2026-01-31') as late,
           count(*) filter (where rating_timestamp > timestamp '2026-01-31' - interval '30 days') as recent,
           count(*) filter (where rating not between 0.5 and 5 or rating * 2 <> trunc(rating * 2)) as off,
           (select max(n) from (select count(*) as n from movielens.ratings group by movie_id) m)
             / (select percentile_cont(0.5) within group (order by n)
                from (select count(*) as n from movielens.ratings group by movie_id) m) as tail
    from movielens.ratings`);
  expect(rows[0]).toMatchObject({ doubled: 0, late: 0, off: 0 });
  expect(rows[0].recent).toBeGreaterThan(20);
  expect(rows[0].tail).toBeGreaterThan(5);
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

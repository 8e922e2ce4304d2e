import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
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

test.each([
  ['ratings', 'movielens.ratings (viewer) values (1)', 'create table movielens.ratings (viewer integer)'],
  ['movies', 'movielens.movies (movie_id) values (1)', 'create table movielens.movies (movie_id integer)'],
])('a source of somebody else that has only %s is one all the same', async (_name, row, create) => {
  const other = await createTestDatabase({ migrate: false });
  try {
    expect(await sourceState(other)).toBe('empty');
    await other.pool.query(`create schema movielens; ${create}`);
    expect(await sourceState(other)).toBe('empty');
    await other.pool.query(`insert into ${row}`);
    expect(await sourceState(other)).toBe('foreign');
  } finally {
    await other.drop();
  }
});

test('the generator gives the same rows for a seed, and says how near their truth is', async () => {
  const end = new Date('2026-01-31');
  const generated = await generateRatings(database, { ratings: 20_000, seed: 7, end });
  expect(generated).toMatchObject({ ratings: 20_000, movies: 596 });
  expect(generated.truthRmse).toBeCloseTo(0.72, 1);
  const first = await fingerprint();
  expect(first).toMatchObject({ ratings: 20_000, movies: 596 });
  await generateRatings(database, { ratings: 20_000, seed: 7, end });
  expect(await fingerprint()).toEqual(first);
  await generateRatings(database, { ratings: 20_000, seed: 8, end });
  expect(await fingerprint()).not.toEqual(first);
  const { rows } = await database.pool.query<Record<string, number>>(`
    select count(*) - count(distinct (user_id, movie_id)) as doubled,
           count(*) filter (where rating_timestamp > '2026-01-31') as late,
           count(*) filter (where rating not between 0.5 and 5 or rating * 2 <> trunc(rating * 2)) as off,
           count(*) filter (where not exists (select from movielens.movies m where m.movie_id = r.movie_id)) as orphans
    from movielens.ratings r`);
  expect(rows[0]).toEqual({ doubled: 0, late: 0, off: 0, orphans: 0 });
});

test('rows that are loaded need no second writing', async () => {
  await generateRatings(database, { ratings: 1_000, seed: 7, end: new Date('2026-01-31') });
  await database.pool.query('create extension if not exists pg_visibility');
  const { rows } = await database.pool.query(
    `select bool_and(all_frozen) as frozen from pg_visibility_map('movielens.ratings')`,
  );
  expect(rows).toEqual([{ frozen: true }]);
});

test('a source that was made empty with other types is loaded all the same', async () => {
  const other = await createTestDatabase({ migrate: false });
  try {
    await other.pool.query(`
      create schema movielens;
      create table movielens.ratings (
        rating numeric(2, 1), user_id bigint, movie_id bigint, rating_timestamp timestamptz,
        primary key (user_id, movie_id));
      create table movielens.movies (movie_id bigint primary key, title text, genres text)`);
    const options = { ratings: 1_000, seed: 7, end: new Date('2026-01-31') };
    await generateRatings(other, options);
    await generateRatings(database, options);
    const content = `
      select user_id::integer, movie_id::integer, rating::real, rating_timestamp at time zone 'UTC' as at
      from movielens.ratings order by 1, 2`;
    const plain = content.replace(` at time zone 'UTC'`, '');
    expect((await other.pool.query(content)).rows).toEqual((await database.pool.query(plain)).rows);
  } finally {
    await other.drop();
  }
});

test('a load that is stopped ends with the reason, and nothing of it stays', async () => {
  const options = { seed: 1, end: new Date('2026-01-31') };
  await generateRatings(database, { ...options, ratings: 1_000 });
  const before = await fingerprint();
  const stop = new AbortController();
  const shares: number[] = [];
  const stopped = generateRatings(database, {
    ...options,
    ratings: 500_000,
    signal: stop.signal,
    onProgress: ({ share }) => {
      shares.push(share);
      if (share > 0.5) stop.abort(new Error('enough'));
    },
  });
  await expect(stopped).rejects.toThrow('enough');
  expect(shares.at(-1)).toBeLessThan(1);
  expect(await fingerprint()).toEqual(before);
  expect(await sourceState(database)).toBe('ours');
});

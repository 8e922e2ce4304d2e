import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { insertRun } from '../../test/support/runs.ts';
import { fillSource, insertMovies, insertRatings } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot } from '../../test/support/stages.ts';

let database: TestDatabase;
let run: number;
const AS_OF = '2026-01-31T00:00:00Z';

beforeAll(async () => {
  database = await createTestDatabase();
  // Types as wild as a source may have them.
  await database.pool.query(`
    alter table movielens.ratings alter user_id type bigint, alter movie_id type bigint, alter rating type float8`);
  await insertMovies(database, [
    [1, 'Heat (1995)', 'Action|Crime'],
    [2, 'Year Unknown', ''],
    [3, '2001: A Space Odyssey (1968) (4K)', 'Sci-Fi'],
    [4, null, 'Drama'],
    [1, 'Heat again (1999)', 'Drama'],
    [null, 'No Id (2000)', 'Drama'],
  ]);
  await insertRatings(database, [
    [1, 1, 4, '2026-01-01 10:00:00'],
    [1, 1, 3, '2026-01-02 10:00:00'],
    [1, 1, 5, '2025-12-01 10:00:00'],
    [2, 1, 2, '2026-01-05 00:00:00'],
    [2, 1, 4.5, '2026-01-05 00:00:00'],
    [3, 2, 0.5, '2026-01-06 00:00:00'],
    [3, 3, 5, '2026-01-31 00:00:00'],
    // Refused, one for each reason.
    [null, 1, 4, '2026-01-01 00:00:00'],
    [1, null, 4, '2026-01-01 00:00:00'],
    [4, 1, null, '2026-01-01 00:00:00'],
    [4, 1, 3, null],
    [4, 1, 3.3, '2026-01-01 00:00:00'],
    [4, 1, 0, '2026-01-01 00:00:00'],
    [4, 1, 5.5, '2026-01-01 00:00:00'],
    [4, 1, Number.NaN, '2026-01-01 00:00:00'],
    [4, 99, 3, '2026-01-01 00:00:00'],
    [4, 4, 3, '2026-01-01 00:00:00'],
    [4, 1, 3, '2026-02-01 00:00:00'],
  ]);
  await database.pool.query(`
    insert into movielens.ratings values (5000000000, 1, 3, '2026-01-01'), (6, 1, 3, 'infinity')`);
  run = await insertRun(database, { asOf: AS_OF });
  await makeSnapshot(createStages(database), run);
});
afterAll(() => database.drop());

test('the latest rating of a pair wins, at equal times the larger', async () => {
  const { rows } = await database.pool.query(
    'select user_id, movie_id, rating from silver.ratings where image = $1 order by 1, 2',
    [run],
  );
  expect(rows).toEqual([
    { user_id: 1, movie_id: 1, rating: 3 },
    { user_id: 2, movie_id: 1, rating: 4.5 },
    { user_id: 3, movie_id: 2, rating: 0.5 },
    { user_id: 3, movie_id: 3, rating: 5 },
  ]);
});

test('every row that is refused is kept with its reason', async () => {
  const { rows } = await database.pool.query(
    'select reason, count(*) as rows from silver.rejected_ratings where _batch_id = $1 group by 1 order by 1',
    [run],
  );
  expect(rows).toEqual([
    { reason: 'after_as_of', rows: 1 },
    { reason: 'id_out_of_range', rows: 1 },
    { reason: 'invalid_timestamp', rows: 2 },
    { reason: 'null_key', rows: 2 },
    { reason: 'null_rating', rows: 1 },
    { reason: 'rating_out_of_domain', rows: 4 },
    { reason: 'unknown_movie', rows: 2 },
  ]);
});

test('bronze = silver + rejected + superseded', async () => {
  const snapshot = await database.db.selectFrom('silver.snapshots').selectAll().executeTakeFirstOrThrow();
  expect(snapshot).toMatchObject({
    bronze_ratings: 20,
    silver_ratings: 4,
    rejected_ratings: 13,
    after_as_of: 1,
    superseded_ratings: 3,
    users: 3,
    rated_movies: 3,
    movies: 3,
  });
});

test('movies gain year, genres and their number', async () => {
  const movies = await database.db
    .selectFrom('silver.movies')
    .select(['movie_id', 'title', 'genres', 'genre_list', 'primary_genre', 'num_genres', 'year'])
    .orderBy('movie_id')
    .execute();
  expect(movies).toEqual([
    {
      movie_id: 1,
      title: 'Heat (1995)',
      genres: 'Action|Crime',
      genre_list: ['Action', 'Crime'],
      primary_genre: 'Action',
      num_genres: 2,
      year: 1995,
    },
    {
      movie_id: 2,
      title: 'Year Unknown',
      genres: '(no genres listed)',
      genre_list: ['(no genres listed)'],
      primary_genre: '(no genres listed)',
      num_genres: 1,
      year: null,
    },
    {
      movie_id: 3,
      title: '2001: A Space Odyssey (1968) (4K)',
      genres: 'Sci-Fi',
      genre_list: ['Sci-Fi'],
      primary_genre: 'Sci-Fi',
      num_genres: 1,
      year: 1968,
    },
  ]);
});

test('a stage that is done gives its result again and writes nothing', async () => {
  const stages = createStages(database);
  const before = await database.db.selectFrom('pipeline.stages').selectAll().orderBy('stage').execute();
  await database.pool.query('truncate movielens.ratings');
  expect(await stages.ingestBronze({ run })).toMatchObject({ rows: 20, movies: 6 });
  expect((await stages.buildSilver({ run })).rows).toBe(4);
  const after = await database.db.selectFrom('pipeline.stages').selectAll().orderBy('stage').execute();
  expect(after).toEqual(before.map((stage) => ({ ...stage, token: stage.token + 1 })));
});

/** A batch that has passed its gate, and the snapshot that silver makes of it: five pairs, one of them rated twice, and `more`. */
async function throughGate(asOf: string, more: Parameters<typeof insertRatings>[1]) {
  const own = await createTestDatabase();
  try {
    await insertMovies(own, [
      [1, 'Heat (1995)', 'Action|Crime'],
      [2, 'Year Unknown', ''],
      [4, null, 'Drama'],
    ]);
    await insertRatings(own, [
      [1, 1, 4, '2026-01-01'],
      [1, 1, 3, '2026-01-02'],
      [1, 2, 3, '2026-01-02'],
      [2, 1, 5, '2026-01-03'],
      [2, 2, 5, '2026-01-31'],
      [3, 2, 0.5, '2026-01-30'],
      ...more,
    ]);
    const stages = createStages(own);
    const ofOwn = await insertRun(own, { asOf, overrides: SMALL });
    await stages.ingestBronze({ run: ofOwn });
    await stages.runGate({ run: ofOwn, scope: 'bronze' });
    await stages.buildSilver({ run: ofOwn });
    const { rows } = await own.pool.query(
      `select all_accepted, silver_ratings as silver, rejected_ratings as rejected, superseded_ratings as superseded,
              (select observed from quality.check_results where check_name = 'future_timestamps') as future
       from bronze.batches join silver.snapshots on run = _batch_id`,
    );
    return rows[0] as unknown;
  } finally {
    await own.drop();
  }
}

test('where the gate has found every row good silver takes all of them', async () => {
  expect(await throughGate(AS_OF, [])).toEqual({
    all_accepted: true,
    silver: 5,
    rejected: 0,
    superseded: 1,
    future: 0,
  });
});

test.each([
  ['an unknown movie', 77, '2026-01-05'],
  ['a movie without a title', 4, '2026-01-05'],
  ['later than the as-of', 1, '2026-02-01'],
])('where it has found a row that is not, %s, silver judges each', async (_what, movie, at) => {
  expect(await throughGate(AS_OF, [[9, movie, 4, at]])).toEqual({
    all_accepted: false,
    silver: 5,
    rejected: 1,
    superseded: 1,
    future: 0,
  });
});

test('a rating between the start and an as-of that clocks have put after it is of the future, and silver takes it', async () => {
  const after = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();
  expect(await throughGate(after(10), [[9, 1, 4, after(5)]])).toEqual({
    all_accepted: false,
    silver: 6,
    rejected: 0,
    superseded: 1,
    future: 1,
  });
});

test('silver has to account for as many rows as the bronze gate has counted, not as were noted when they were read', async () => {
  const own = await createTestDatabase();
  try {
    await fillSource(own, 40, 30);
    const stages = createStages(own);
    const ofOwn = await insertRun(own, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
    await stages.ingestBronze({ run: ofOwn });
    await own.pool.query('update bronze.batches set ratings = ratings + 7');
    await stages.runGate({ run: ofOwn, scope: 'bronze' });
    const { rows } = await own.pool.query<{ noted: number; counted: number }>(
      'select ratings as noted, (select count(*) from bronze.ratings) as counted from bronze.batches',
    );
    expect(rows[0].noted).toBe(rows[0].counted);
    await stages.buildSilver({ run: ofOwn });
    await stages.runGate({ run: ofOwn, scope: 'silver' });
  } finally {
    await own.drop();
  }
});

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateRatings } from '../../data/generate.ts';
import { importMovieLens } from '../../data/import-movielens.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { MOVIELENS, hasMovieLens } from '../../test/support/movielens.ts';
import { callActivity, dependencies, insertRun } from '../../test/support/runs.ts';
import { createStages, makeSnapshot } from '../../test/support/stages.ts';
import { transaction } from '../../database/session.ts';
import { sql } from 'kysely';
import { createActivities } from '../index.ts';
import { loadRun } from '../support/run.ts';
import { deviation as deviationOfTotals } from './expressions.ts';
import { preferencesByCopy } from './user-genre-preferences.ts';

interface SourceRow {
  user_id: number;
  movie_id: number;
  /** Whole half-stars, so that sums are exact. */
  halves: number;
  at: number;
  title: string;
  genres: string;
}

/** Half away from zero at four digits, of a quotient of whole numbers. */
function ratio(numerator: number, denominator: number): number {
  const scaled = (BigInt(numerator) * 20_000n + BigInt(denominator)) / (2n * BigInt(denominator));
  return Number(scaled) / 10_000;
}

function deviation(halves: number[]): number | null {
  if (halves.length < 2) return null;
  const mean = halves.reduce((sum, value) => sum + value, 0) / halves.length / 2;
  const squares = halves.reduce((sum, value) => sum + (value / 2 - mean) ** 2, 0);
  return Math.round(Math.sqrt(squares / (halves.length - 1)) * 1e4) / 1e4;
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
const dayOf = (at: number): number => Math.floor(at / 86_400_000);

function group(rows: SourceRow[], key: 'user_id' | 'movie_id'): [number, SourceRow[]][] {
  const groups = new Map<number, SourceRow[]>();
  for (const row of rows) groups.set(row[key], [...(groups.get(row[key]) ?? []), row]);
  return [...groups].sort(([a], [b]) => a - b);
}

/** The definitions of the contract, section 4, in plain TypeScript. */
function expectedUserFeatures(rows: SourceRow[]) {
  return group(rows, 'user_id').map(([user_id, of]) => {
    const halves = of.map((row) => row.halves);
    const first = Math.min(...of.map(({ at }) => at));
    const last = Math.max(...of.map(({ at }) => at));
    const positive = halves.filter((value) => value >= 8).length;
    const span = dayOf(last) - dayOf(first);
    const total = of.length;
    return {
      user_id,
      total_ratings: total,
      avg_rating: ratio(sum(halves), 2 * total),
      std_rating: deviation(halves),
      positive_count: positive,
      negative_count: halves.filter((value) => value <= 4).length,
      unique_movies: new Set(of.map((row) => row.movie_id)).size,
      first_rating_at: new Date(first),
      last_rating_at: new Date(last),
      positivity_ratio: ratio(positive, total),
      activity_span_days: span,
      ratings_per_day: span === 0 ? total : ratio(total, span),
      user_segment: total >= 1000 ? 'power' : total >= 100 ? 'active' : total >= 20 ? 'casual' : 'new',
    };
  });
}

function expectedMovieFeatures(rows: SourceRow[]) {
  return group(rows, 'movie_id').map(([movie_id, of]) => {
    const halves = of.map((row) => row.halves);
    const [{ title, genres }] = of;
    const year = /\((\d{4})\)/.exec(title);
    return {
      movie_id,
      title,
      genres,
      primary_genre: genres.split('|')[0],
      year: year === null ? null : Number(year[1]),
      num_genres: genres.split('|').length,
      total_ratings: of.length,
      avg_rating: ratio(sum(halves), 2 * of.length),
      std_rating: deviation(halves),
      unique_raters: new Set(of.map((row) => row.user_id)).size,
      positive_rate: ratio(halves.filter((value) => value >= 8).length, of.length),
      first_rated_at: new Date(Math.min(...of.map(({ at }) => at))),
      last_rated_at: new Date(Math.max(...of.map(({ at }) => at))),
    };
  });
}

const GENRES = 'Drama Comedy Action Thriller Romance Adventure Sci-Fi Crime Horror Animation'.split(' ');

function expectedPreferences(rows: SourceRow[]) {
  return group(rows, 'user_id').flatMap(([user_id, of]) => {
    const byGenre = GENRES.map((genre) => of.filter(({ genres }) => genres.split('|').includes(genre)));
    if (byGenre.every((rated) => rated.length === 0)) return [];
    const preferences = GENRES.map((genre, at) => [
      `pref_${genre.toLowerCase().replace('-', '_')}`,
      byGenre[at].length === 0
        ? 0
        : ratio(sum(byGenre[at].map(({ halves }) => halves)), 2 * byGenre[at].length),
    ]);
    return [{ user_id, ...(Object.fromEntries(preferences) as Record<string, number>) }];
  });
}

/** Columns that no definition of the contract gives. */
const UNLIKE = ['run', '_computed_at'];

const sources = [
  { name: 'generated ratings', skip: false, movielens: false },
  { name: 'ml-latest-small', skip: !hasMovieLens, movielens: true },
];

for (const { name, skip, movielens } of sources) {
  describe.skipIf(skip)(`on ${name}`, () => {
    let database: TestDatabase;
    let run: number;
    let source: SourceRow[];

    beforeAll(async () => {
      database = await createTestDatabase();
      if (movielens) await importMovieLens(database, MOVIELENS);
      else await generateRatings(database, { ratings: 5_000, seed: 7, end: new Date('2026-01-31') });
      const stages = createStages(database);
      run = await insertRun(database, { asOf: '2026-11-24T00:00:00Z' });
      await makeSnapshot(stages, run);
      await stages.buildUserFeatures({ run });
      await stages.buildMovieFeatures({ run });
      await stages.buildUserGenrePreferences({ run });
      const { rows } = await database.pool.query<SourceRow>(`
        select user_id, movie_id, (rating * 2)::integer as halves,
               extract(epoch from rating_timestamp)::bigint * 1000 as at, title, genres
        from movielens.ratings join movielens.movies using (movie_id)`);
      source = rows;
    });
    afterAll(() => database.drop());

    const read = async (table: string, key: string): Promise<Record<string, unknown>[]> => {
      const { rows } = await database.pool.query<Record<string, unknown>>(
        `select * from store.${table} where run = ${run} order by ${key}`,
      );
      return rows.map((row) =>
        Object.fromEntries(Object.entries(row).filter(([column]) => !UNLIKE.includes(column))),
      );
    };

    test('every column of user_features is what its definition gives', async () => {
      expect(await read('user_features', 'user_id')).toEqual(expectedUserFeatures(source));
    });

    test('every column of movie_features is what its definition gives', async () => {
      expect(await read('movie_features', 'movie_id')).toEqual(expectedMovieFeatures(source));
    });

    test('every column of user_genre_preferences is what its definition gives', async () => {
      expect(await read('user_genre_preferences', 'user_id')).toEqual(expectedPreferences(source));
    });

    test('user_genre_preferences by the copy that a split has left on this host has the same rows', async () => {
      const cacheFolder = mkdtempSync(join(tmpdir(), 'nightjar-features-'));
      const given = { ...dependencies(database), cacheFolder };
      const byCopy = () =>
        callActivity(
          () =>
            transaction(database, async (session) => {
              const context = await loadRun(session.db, run);
              const query = await preferencesByCopy(given, session, context, new AbortController().signal);
              return query === null ? null : query.orderBy('user_id').execute();
            }),
          undefined,
        );
      expect(await byCopy()).toBeNull();
      await callActivity(createActivities(given).splitHoldout, { run });
      const rows = (await byCopy()) ?? [];
      expect(
        rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !UNLIKE.includes(name)))),
      ).toEqual(await read('user_genre_preferences', 'user_id'));
      const [file] = readdirSync(cacheFolder).map((name) => join(cacheFolder, name));
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(file, bytes);
      expect(await byCopy()).toBeNull();
      rmSync(cacheFolder, { recursive: true });
    });

    test.runIf(movielens)('has the rows that the real ratings have', async () => {
      const snapshot = await database.db.selectFrom('silver.snapshots').selectAll().executeTakeFirstOrThrow();
      const { bronze_ratings, silver_ratings, rejected_ratings, superseded_ratings } = snapshot;
      expect(bronze_ratings).toBe(100_836);
      expect(silver_ratings + rejected_ratings + superseded_ratings).toBe(100_836);
      expect(await read('user_features', 'user_id')).toHaveLength(610);
      expect(await read('movie_features', 'movie_id')).toHaveLength(9_724);
    });
  });
}

test('a deviation in the middle between two values is rounded up, as is one a little off it to the nearer', async () => {
  const database = await createTestDatabase({ migrate: false });
  try {
    // All of four stars but one, which is half a star or one and a half off; and one more of the first kind. Of the last one
    // doubles give a little less than the middle.
    const { rows } = await sql<{ deviation: number | null }>`
      select ${deviationOfTotals} as deviation from (values
        (1, 8::bigint, 64::bigint), (256, 255 * 8 + 7, 255 * 64 + 49), (256, 255 * 8 + 5, 255 * 64 + 25),
        (257, 256 * 8 + 7, 256 * 64 + 49), (2, 16, 128), (160001, 0, 49)
      ) t(ratings, half_stars, half_stars_squared)`.execute(database.db);
    expect(rows.map((row) => row.deviation)).toEqual([null, 0.0313, 0.0938, 0.0312, 0, 0.0088]);
  } finally {
    await database.drop();
  }
});

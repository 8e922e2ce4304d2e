import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { GateScope } from '../../database/types/index.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, forgetGoodNights, insertGoodNights, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import {
  SMALL,
  createStages,
  evaluateNight,
  makeSnapshot,
  prepareVersion,
  publishNight,
} from '../../test/support/stages.ts';
import { checks } from './checks.ts';

let database: TestDatabase;
let run: number;
/** The night that is served. */
let first: number;
/** What readers saw before any gate failed. */
let served: string;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 30, 20);
  first = await publishNight(database, '2026-01-28T00:00:00Z');
  served = await readEverything();
});

/** A checksum of every view that readers have. */
async function readEverything(): Promise<string> {
  const views = await database.pool.query<{ name: string }>(`
    select schemaname || '.' || viewname as name from pg_views
    where schemaname in ('features', 'models', 'recommendations', 'serving') order by 1`);
  expect(views.rows.length).toBeGreaterThanOrEqual(9);
  const sums = views.rows.map(
    ({ name }) => `
    select '${name}' as view, count(*) as rows, sum(hashtextextended(v::text, 0)::numeric) as sum from ${name} v`,
  );
  return JSON.stringify((await database.pool.query(`${sums.join(' union all ')} order by view`)).rows);
}
afterAll(() => database.drop());

beforeEach(async () => {
  await database.pool.query(`
    drop table if exists movielens.ratings, movielens.movies;
    create table movielens.ratings (user_id integer, movie_id integer, rating real, rating_timestamp timestamp);
    create table movielens.movies (movie_id integer, title text, genres text)`);
  await fillSource(database, 30, 20);
  run = await insertRun(database, {
    asOf: new Date(Date.UTC(2026, 0, 29, 0, 0, day++)).toISOString(),
    overrides,
  });
});
afterEach(async () => {
  await closeRun(database, run, 'failed');
  await forgetGoodNights(database);
});
let day = 0;
const overrides = [...SMALL, 'quality.thresholds.freshness.error=2'];

/** Nights to be held against, with the served one four; `value` says how theirs differ from its numbers. */
const pastNights = (value?: string) =>
  insertGoodNights(database, { like: first, asOf: ['2026-01-20', '2026-01-21', '2026-01-22'], value });

/** Everything up to where the gate stands. */
async function prepare(scope: GateScope): Promise<void> {
  const stages = createStages(database);
  if (scope === 'source') return;
  if (scope === 'bronze') {
    await stages.ingestBronze({ run });
    return;
  }
  if (scope === 'silver') return makeSnapshot(stages, run);
  await evaluateNight(stages, run);
  if (scope === 'features') return;
  if (scope === 'model') {
    await stages.refitModel({ run });
    return;
  }
  await prepareVersion(stages, run);
}

async function passes(scope: GateScope): Promise<string> {
  try {
    await createStages(database).runGate({ run, scope });
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function resultOf(check: string) {
  return database.db
    .selectFrom('quality.check_results')
    .selectAll()
    .where('run', '=', run)
    .where('check_name', '=', check)
    .executeTakeFirstOrThrow();
}

const scopes: GateScope[] = ['source', 'bronze', 'silver', 'features', 'model', 'publish'];

test.each(scopes)('every check of the %s gate passes on good data', async (scope) => {
  await pastNights();
  await prepare(scope);
  expect(await passes(scope)).toBe('');
  const results = await database.db
    .selectFrom('quality.check_results')
    .select(['check_name', 'status'])
    .where('run', '=', run)
    .execute();
  expect(results.map(({ check_name }) => check_name).sort()).toEqual(
    checks
      .filter((check) => check.scope === scope)
      .map(({ name }) => name)
      .sort(),
  );
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['passed']));
});

interface Dirt {
  check: string;
  /** In the source before the night reads it, or in the run's own tables before the gate. */
  source?: string;
  inside?: (run: number) => string;
  /** How the nights before differ from this one, in SQL. */
  past?: string;
  status?: 'failed' | 'warned';
  says: string;
}

const rating = (values: string): string => `insert into movielens.ratings values ${values}`;

const dirt: Dirt[] = [
  {
    check: 'source_columns',
    source: 'alter table movielens.ratings drop column rating_timestamp',
    says: 'no column movielens.ratings.rating_timestamp',
  },
  {
    check: 'source_columns',
    source: 'alter table movielens.movies alter title type integer using 1',
    says: 'movielens.movies.title of type integer',
  },
  { check: 'source_columns', source: 'drop table movielens.movies', says: 'no table movielens.movies' },
  { check: 'ratings_minimum', source: 'truncate movielens.ratings', says: 'at least 10 ratings, found 0' },
  { check: 'movies_present', source: 'truncate movielens.movies', says: 'at least one movie' },
  { check: 'null_keys', source: rating(`(null, 1, 4, '2026-01-02')`), says: 'without user_id or movie_id' },
  {
    check: 'rating_domain',
    source: rating(`(99, 1, 3.3, '2026-01-02'), (98, 1, 3, null)`),
    status: 'warned',
    says: 'found 2',
  },
  {
    check: 'duplicates',
    source: rating(`(1, 1, 4, '2026-01-02'), (1, 1, 3, '2026-01-03')`),
    status: 'warned',
    says: 'one rating for each user and movie',
  },
  {
    check: 'orphan_movies',
    source: rating(`(1, 4444, 4, '2026-01-02')`),
    status: 'warned',
    says: 'in the catalogue, found 1',
  },
  {
    check: 'future_timestamps',
    source: rating(`(1, 444, 4, '2999-01-02')`),
    status: 'warned',
    says: 'later than the start of the run, found 1',
  },
  {
    check: 'freshness',
    source: `update movielens.ratings set rating_timestamp = rating_timestamp - interval '1 year'`,
    says: 'at most 2 days before the as-of',
  },
  {
    check: 'catalogue_titles',
    source: `insert into movielens.movies values (500, null, 'Drama')`,
    status: 'warned',
    says: 'a title',
  },
  {
    check: 'snapshot_present',
    source: 'update movielens.ratings set rating = 9',
    says: 'at least one rating',
  },
  {
    check: 'row_accounting',
    inside: (at) =>
      `delete from silver.ratings where (image, user_id, movie_id) = (
         select image, user_id, movie_id from silver.ratings join silver.snapshots using (image) where run = ${at} limit 1)`,
    says: 'bronze = silver + rejected + superseded',
  },
  {
    check: 'row_accounting',
    inside: (at) => `update silver.snapshots set rating_counts = '{"4": 1}' where run = ${at}`,
    says: ', 1 by value',
  },
  {
    check: 'refused_share',
    source: 'update movielens.ratings set rating = 7 where user_id <= 2',
    says: 'at most 1% of the rows refused',
  },
  {
    check: 'volume_change',
    past: `case statistic when 'ratings' then value * 2 else value end`,
    status: 'warned',
    says: 'below the 546 of the last 4 good nights',
  },
  {
    check: 'mean_rating_drift',
    past: `case statistic when 'mean_rating' then value - 1 else value end`,
    status: 'warned',
    says: 'above the 1.890 of the last 4 good nights',
  },
  {
    check: 'rating_share_drift',
    past: `case when statistic = 'share_5.0' then 1 when statistic like 'share%' then 0 else value end`,
    status: 'warned',
    says: '5 stars went to',
  },
  {
    check: 'user_feature_rows',
    inside: (at) => `delete from store.user_features where run = ${at} and user_id = 1`,
    says: '29 rows for 30',
  },
  {
    check: 'movie_feature_rows',
    inside: (at) => `delete from store.movie_features where run = ${at} and movie_id = 1`,
    says: '19 rows for 20',
  },
  {
    check: 'genre_preference_rows',
    inside: (at) => `delete from store.user_genre_preferences where run = ${at} and user_id = 1`,
    says: '29 rows for 30',
  },
  {
    check: 'factors_complete',
    inside: (at) =>
      `update store.item_factors set factors = array[1]::real[] where run = ${at} and movie_id = 1`,
    says: '1 of another length',
  },
  {
    check: 'factors_finite',
    inside: (at) => `update store.user_factors set factors[1] = 'NaN' where run = ${at} and user_id = 1`,
    says: 'every factor a finite number, found 1',
  },
  {
    check: 'recommendations_complete',
    inside: (at) => `delete from store.batch_recs where run = ${at} and user_id = 1 and rank = 1`,
    says: 'recommendations for every user',
  },
  {
    check: 'no_rated_movie',
    inside: (at) => `
      update store.batch_recs r set movie_id = (
        select movie_id from silver.ratings s join silver.snapshots using (image) where run = ${at} and s.user_id = 1 limit 1
      ) where run = ${at} and user_id = 1 and rank = 1`,
    says: 'who has rated it, found 1',
  },
  {
    check: 'no_null_title',
    inside: (at) => `delete from store.movies where run = ${at} and movie_id = 1`,
    says: 'a title for every movie',
  },
  {
    check: 'never_itself',
    inside: (at) =>
      `update store.similar_movies set similar_movie_id = movie_id where run = ${at} and movie_id = 1 and rank = 1`,
    says: 'similar to itself, found 1',
  },
  {
    check: 'list_churn',
    inside: (at) => `
      insert into store.movies select run, movie_id + 1000, title, genres from store.movies where run = ${at};
      update store.batch_recs set movie_id = movie_id + 1000 where run = ${at}`,
    status: 'warned',
    says: 'a churn of at most 0.8 against the lists that are served, found 1.000 over 30 users, against als-rank',
  },
  {
    check: 'trending_present',
    inside: (at) => `delete from store.trending where run = ${at}`,
    status: 'warned',
    says: 'at least one trending movie',
  },
];

test('there is dirt for every check', () => {
  expect(new Set(dirt.map(({ check }) => check))).toEqual(new Set(checks.map(({ name }) => name)));
});

test.each(dirt)('$check sees what is wrong: $says', async ({ check, source, inside, past, status, says }) => {
  const { scope } = checks.find(({ name }) => name === check) ?? { scope: 'source' };
  if (source !== undefined) await database.pool.query(source);
  if (past !== undefined) await pastNights(past);
  await prepare(scope);
  if (inside !== undefined) await database.pool.query(inside(run));
  const said = await passes(scope);
  const found = await resultOf(check);
  expect(found.status).toBe(status ?? 'failed');
  expect(found.message).toContain(says);
  if (found.status === 'failed') expect(said).toContain(says);
  if (found.status === 'warned') expect(said).toBe('');
  // And nothing of it shows: what is served stays.
  expect(await readEverything()).toBe(served);
});

test.each(dirt.filter(({ source }) => source !== undefined))(
  'a check of the source alone foretells $check: $says',
  async ({ check, source, status, says }) => {
    await database.pool.query(source ?? '');
    const at = { asOf: '2026-01-29T00:00:00Z', startedAt: new Date().toISOString() };
    const stages = createStages(database);
    const reports = await stages.checkSource({ ...at, profile: 'small', overrides });
    const found = reports.find((report) => report.check === check);
    expect(found?.status).toBe(status ?? 'failed');
    expect(found?.message).toContain(says);
    // It writes nothing.
    const { rows } = await database.pool.query('select from quality.check_results where run = $1', [run]);
    expect(rows).toEqual([]);
    // One payload of a workflow's history.
    expect(JSON.stringify(reports).length).toBeLessThan(16_384);
  },
);

test('an empty source fails the gate with a sentence', async () => {
  await database.pool.query('truncate movielens.ratings, movielens.movies');
  const said = await passes('source');
  expect(said).toMatch(
    /^run \d+, source gate: ratings_minimum expected at least 10 ratings, found 0: complete/,
  );
  expect(said).toContain('movies_present expected at least one movie, found 0: load the catalogue');
});

test('a missing column fails the gate with a sentence', async () => {
  await database.pool.query('alter table movielens.ratings drop column movie_id');
  expect(await passes('source')).toMatch(
    /source gate: source_columns expected .* with their types, found no column movielens\.ratings\.movie_id: restore/,
  );
});

test.each<{ scope: GateScope; table: string }>([
  { scope: 'bronze', table: 'bronze.ratings' },
  { scope: 'silver', table: 'quality.source_statistics' },
  { scope: 'features', table: 'store.user_features' },
  { scope: 'model', table: 'store.user_factors' },
  { scope: 'publish', table: 'store.similar_movies' },
])(
  'every check of the $scope gate whose query is broken has failed, and says so',
  async ({ scope, table }) => {
    await prepare(scope);
    const [schema, name] = table.split('.');
    await database.pool.query(`alter table ${table} rename to elsewhere`);
    const said = await passes(scope).finally(() =>
      database.pool.query(`alter table ${schema}.elsewhere rename to ${name}`),
    );
    for (const { name: check } of checks.filter((one) => one.scope === scope)) {
      expect(said).toContain(`${check} expected`);
      expect(await resultOf(check)).toMatchObject({
        status: 'failed',
        message: expect.stringContaining(
          `found no answer: it could not run, relation "${table}" does not exist`,
        ) as string,
      });
    }
  },
);

test.each<GateScope>(['bronze', 'silver', 'model'])(
  'every check of the %s gate that looked at nothing has failed, and says so',
  async (scope) => {
    await database.pool.query('truncate movielens.ratings');
    await stagesUpTo(scope);
    const said = await passes(scope);
    for (const { name } of checks.filter((one) => one.scope === scope))
      expect(said).toContain(`${name} expected`);
    expect(said).toContain('found nothing: it looked at no rows');
  },
);

/** As far as a night over nothing can come. */
async function stagesUpTo(scope: GateScope): Promise<void> {
  if (scope === 'bronze') await createStages(database).ingestBronze({ run });
  if (scope === 'silver') await makeSnapshot(createStages(database), run);
}

test('factors of a family with biases are as wide as they are exported, and no defect', async () => {
  await prepare('features');
  await database.pool.query(
    `update pipeline.stages set result = jsonb_set(result, '{parameters,family}', '"als-biased"')
     where run = $1 and stage = 'select'`,
    [run],
  );
  await createStages(database).refitModel({ run });
  expect(await passes('model')).toBe('');
});

test('lists that may hold rated movies are not asked for it', async () => {
  await closeRun(database, run, 'failed');
  run = await insertRun(database, {
    asOf: new Date(Date.UTC(2026, 0, 29, 1, 0, day++)).toISOString(),
    overrides: [...overrides, 'recommendations.excludeRated=false'],
  });
  await prepare('publish');
  expect(await passes('publish')).toBe('');
  expect(await resultOf('no_rated_movie')).toMatchObject({ status: 'skipped' });
});

test('what only a night can ask is shown with the last night that asked it', async () => {
  await prepare('features');
  await passes('features');
  const reports = await createStages(database).checkSource({
    asOf: '2026-01-29T00:00:00Z',
    startedAt: new Date().toISOString(),
    profile: 'small',
    overrides,
  });
  expect(reports.map(({ check }) => check)).toEqual(checks.map(({ name }) => name));
  const of = (name: string) => reports.find(({ check }) => check === name);
  expect(of('user_feature_rows')).toMatchObject({ status: 'passed', run, warn: null, error: 0 });
  expect(of('null_keys')).toMatchObject({ status: 'passed', run: null });
  await database.pool.query(`delete from quality.check_results where check_name = 'factors_finite'`);
  const again = await createStages(database).checkSource({
    asOf: '2026-01-29T00:00:00Z',
    startedAt: new Date().toISOString(),
    profile: 'small',
    overrides,
  });
  expect(again.find(({ check }) => check === 'factors_finite')).toMatchObject({ status: 'later', run: null });
});

test('samples of offending rows are kept, and no more than five', async () => {
  await database.pool.query(
    rating(Array.from({ length: 8 }, (_, at) => `(${at}, 1, 9, '2026-01-02')`).join()),
  );
  await prepare('bronze');
  await passes('bronze');
  expect((await resultOf('rating_domain')).sample).toHaveLength(5);
});

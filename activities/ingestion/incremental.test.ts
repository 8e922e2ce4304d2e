import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateRatings } from '../../data/generate.ts';
import { digestRun } from '../../database/digest.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { insertRun, closeRun } from '../../test/support/runs.ts';
import { fillSource, insertMovies, insertRatings } from '../../test/support/source.ts';
import {
  SMALL,
  createStages,
  evaluateNight,
  makeSnapshot,
  prepareVersion,
} from '../../test/support/stages.ts';

/** Tables that a night that follows another must have as a rebuild has them. */
const EQUAL = [
  'silver.ratings',
  'silver.movies',
  'silver.rejected_ratings',
  'silver.superseded_ratings',
  'silver.snapshots',
  'gold.user_totals',
  'gold.movie_totals',
  'gold.splits',
  'store.user_features',
  'store.movie_features',
  'store.user_genre_preferences',
  'store.trending',
  'store.movie_stats',
];

/** What is made of the model. */
const SERVED = [
  'store.batch_recs',
  'store.similar_movies',
  'store.user_factors',
  'store.item_factors',
  'store.movies',
];

/** Dirt is wanted here. */
const LENIENT = ['quality.maximumRefusedShare=1', 'quality.thresholds.null_keys.error=100'];

/** Checks that look at how old a snapshot is, or at those before it. */
const BY_TIME = ['freshness', 'volume_change', 'mean_rating_drift', 'rating_share_drift'];

/**
 * Run by hand on so many generated ratings instead: NIGHTJAR_EQUALITY_RATINGS=1000000 vitest run
 * activities/ingestion/incremental.test.ts -t 'first night|random|served'
 */
const RATINGS = Number(process.env.NIGHTJAR_EQUALITY_RATINGS ?? 0);

let database: TestDatabase;
let minute = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.pool.query(`
    alter table movielens.ratings alter user_id type bigint, alter movie_id type bigint, alter rating type float8`);
  if (RATINGS > 0) {
    await generateRatings(database, { ratings: RATINGS, seed: 42, end: new Date('2026-02-01') });
    return;
  }
  await fillSource(database, 40, 30);
  await insertMovies(database, [[31, 'Seldom Seen (1990)', 'Drama']]);
  await insertRatings(database, [
    [13, 31, 4, '2026-01-02'],
    [14, 31, 2, '2026-01-02'],
  ]);
});
afterAll(() => database.drop());

/** A night as far as its tables of data, and its digests. */
async function night(asOf: string, overrides: string[] = []) {
  const stages = createStages(database);
  const run = await insertRun(database, { asOf, overrides: [...SMALL, ...LENIENT, ...overrides] });
  await makeSnapshot(stages, run);
  for (const build of [
    stages.buildUserFeatures,
    stages.buildMovieFeatures,
    stages.buildUserGenrePreferences,
    stages.computeMovieStats,
    stages.computeTrending,
    stages.splitHoldout,
  ])
    await build({ run });
  const { rows } = await database.pool.query<{ follows: number | null; changed: number | null }>(
    'select follows, changed_users as changed from bronze.batches where _batch_id = $1',
    [run],
  );
  const gates = await Promise.all(
    (['bronze', 'silver', 'features'] as const).map((scope) => stages.runGate({ run, scope })),
  ).then(
    () => 'passed',
    (error: unknown) => (error as Error).message,
  );
  // With what the gates keep.
  const { tables } = await digestRun(database.db, run);
  await closeRun(database, run);
  const checks = await database.pool.query(
    `select check_name, status, observed from quality.check_results where run = $1 and check_name <> all ($2) order by 1`,
    [run, BY_TIME],
  );
  return {
    run,
    ...rows[0],
    gates,
    checks: checks.rows,
    tables: Object.fromEntries(EQUAL.map((table) => [table, tables[table]])),
  };
}

/** The next as-of, and a rebuild's beside it: at the same instant there is one run only. */
function nextAsOf(): [string, string] {
  const at = (): string => new Date(Date.UTC(2026, 2, 1, 0, minute++)).toISOString();
  return [at(), at()];
}

/** The night that follows the last one, held against a rebuild; as-of is a cell of trending and snapshots. */
async function compare(expected: { follows: boolean; changed?: number }) {
  const [asOf, later] = nextAsOf();
  const followed = await night(asOf);
  expect(followed.gates).toBe('passed');
  expect(followed.follows !== null).toBe(expected.follows);
  if (expected.changed !== undefined) expect(followed.changed).toBe(expected.changed);
  const rebuilt = await night(later, ['ingestion.rebuild=true']);
  expect(rebuilt.follows).toBeNull();
  expect(followed.checks).toEqual(rebuilt.checks);
  await database.pool.query('update store.trending set as_of = $1 where run = $2', [asOf, rebuilt.run]);
  await database.pool.query('update silver.snapshots set as_of = $1 where run = $2', [asOf, rebuilt.run]);
  const { tables } = await digestRun(database.db, rebuilt.run);
  expect(followed.tables).toEqual(Object.fromEntries(EQUAL.map((table) => [table, tables[table]])));
  await database.pool.query('update silver.snapshots set as_of = $1 where run = $2', [later, rebuilt.run]);
  return followed;
}

test('a first night reads the whole source, one after it nothing that is the same', async () => {
  await compare({ follows: false });
  await compare({ follows: true, changed: 0 });
});

test.each([
  ['a new rating', `insert into movielens.ratings values (1, 29, 3, '2026-02-01')`, 1],
  ['a new user', `insert into movielens.ratings values (7777, 2, 3, '2026-02-01')`, 1],
  ['a late rating', `insert into movielens.ratings values (2, 28, 3, '1999-02-01')`, 1],
  ['a correction', `update movielens.ratings set rating = 0.5 where user_id = 3`, 1],
  [
    'a correction of a time',
    `update movielens.ratings set rating_timestamp = '2001-01-01' where user_id = 4`,
    1,
  ],
  [
    'two ratings that change places',
    `update movielens.ratings set rating = 5.5 - rating where user_id = 5`,
    1,
  ],
  ['a deletion', `delete from movielens.ratings where user_id = 6 and movie_id < 5`, 1],
  ['a user who is gone', `delete from movielens.ratings where user_id = 7`, 1],
  [
    'the same row twice',
    `insert into movielens.ratings select * from movielens.ratings where user_id = 8`,
    1,
  ],
  [
    'a pair rated again',
    `insert into movielens.ratings select user_id, movie_id, 1, '2026-02-03' from movielens.ratings where user_id = 9`,
    1,
  ],
  [
    'dirt',
    `insert into movielens.ratings values (10, 1, 9, '2026-02-01'), (10, null, 1, '2026-02-01'), (11, 5, 'nan', '2026-02-01'),
      (18, 5, null, '2026-02-01'), (19, 5, 3, null), (20, 1, null, null), (20, 4, null, null), (21, 5, null, '2026-02-02')`,
    6,
  ],
  [
    'a correction of a row that is of no movie, of one without a rating, and of one without a time',
    `update movielens.ratings set rating = 2 where user_id = 10 and movie_id is null;
     update movielens.ratings set rating_timestamp = '2001-01-01' where user_id = 18 and rating is null;
     update movielens.ratings set rating = 2 where user_id = 19 and rating_timestamp is null`,
    3,
  ],
  [
    'what cancels out where a null is not hashed',
    `update movielens.ratings set movie_id = case movie_id when 1 then 2 else 3 end where user_id = 20 and rating is null;
     update movielens.ratings set movie_id = -6, rating = 0 where user_id = 21 and rating is null`,
    2,
  ],
  [
    'a user without an id that fits',
    `insert into movielens.ratings values (5000000000, 1, 3, '2026-02-01')`,
    1,
  ],
  ['a rating after the as-of', `insert into movielens.ratings values (12, 5, 3, '2026-03-01 03:00:00')`, 1],
  ['one more of who has such a one', `insert into movielens.ratings values (12, 29, 3, '2026-02-01')`, 1],
])('%s is found, and what it touches is as a rebuild has it', async (_what, change, changed) => {
  await database.pool.query(change);
  await compare({ follows: true, changed });
});

test('a movie that leaves the catalogue, comes back or changes its genres takes its ratings along', async () => {
  for (const change of [
    'update movielens.movies set movie_id = 400 where movie_id = 31',
    'update movielens.movies set movie_id = 31 where movie_id = 400',
    `update movielens.movies set genres = 'Horror' where movie_id = 31`,
    `update movielens.movies set title = 'Renamed (2001)' where movie_id = 3`,
  ]) {
    await database.pool.query(change);
    await compare({ follows: true });
  }
});

/** What happens to the ratings of a tenth of the users between two nights, and a few new ones. */
const randomChanges = (seed: number): string => `
  select setseed(${seed});
  create temporary table chosen on commit drop as
    select user_id from (select distinct user_id from movielens.ratings where user_id is not null order by 1) u
    where random() < 0.1 union select 200 + floor(random() * 20);
  insert into movielens.ratings
    select user_id, 1 + floor(random() * 34), (1 + floor(random() * 11)) / 2, '2026-02-01'::timestamp - random() * interval '400 days'
    from chosen, generate_series(1, 4);
  update movielens.ratings set rating = (1 + floor(random() * 10)) / 2
    where user_id in (select user_id from chosen) and random() < 0.1;
  update movielens.ratings set rating_timestamp = rating_timestamp - random() * interval '4000 days'
    where user_id in (select user_id from chosen) and random() < 0.1;
  delete from movielens.ratings where user_id in (select user_id from chosen) and random() < 0.1;
  delete from movielens.ratings where user_id = (select min(user_id) from chosen) and random() < 0.5`;

test.each([0.1, 0.2, 0.3, 0.4])(
  'nights of random insertions, corrections, deletions and late ratings are as rebuilds: seed %f',
  async (seed) => {
    for (const next of [0, 0.01, 0.02]) {
      await database.pool.query(randomChanges(seed + next));
      const { changed } = await compare({ follows: true });
      expect(changed).toBeGreaterThan(0);
    }
  },
);

test('what is served of a night that follows another is what is of a rebuild', async () => {
  const served = async (overrides: string[]) => {
    const stages = createStages(database);
    const [asOf] = nextAsOf();
    const run = await insertRun(database, { asOf, overrides: [...SMALL, ...LENIENT, ...overrides] });
    await evaluateNight(stages, run);
    await prepareVersion(stages, run);
    const { tables } = await digestRun(database.db, run);
    await closeRun(database, run);
    const { follows } = await database.db
      .selectFrom('bronze.batches')
      .where('_batch_id', '=', run)
      .select('follows')
      .executeTakeFirstOrThrow();
    return { follows, tables: SERVED.map((table) => ({ table, ...tables[table] })) };
  };
  await database.pool.query(randomChanges(0.5));
  const followed = await served([]);
  const rebuilt = await served(['ingestion.rebuild=true']);
  expect(followed.follows).not.toBeNull();
  expect(rebuilt.follows).toBeNull();
  expect(followed.tables).toEqual(rebuilt.tables);
  expect(followed.tables.every(({ rows }) => rows > 0)).toBe(true);
});

test('the features gate misses a row that was to be carried over, and one that was to be made', async () => {
  const stages = createStages(database);
  for (const kept of [false, true]) {
    await database.pool.query(`
      update movielens.ratings set rating = 5.5 - rating
      where user_id = (select min(user_id) from store.user_genre_preferences)`);
    const [asOf] = nextAsOf();
    const run = await insertRun(database, { asOf, overrides: [...SMALL, ...LENIENT] });
    await makeSnapshot(stages, run);
    await stages.buildUserFeatures({ run });
    await stages.buildMovieFeatures({ run });
    await stages.buildUserGenrePreferences({ run });
    const { rowCount } = await database.pool.query(
      `delete from store.user_genre_preferences p where run = $1 and user_id = (
         select min(user_id) from store.user_genre_preferences t where run = $1
           and $2 = not exists (select from bronze.changed_users c where c._batch_id = $1 and c.user_id = t.user_id))`,
      [run, kept],
    );
    expect(rowCount).toBe(1);
    await expect(stages.runGate({ run, scope: 'features' })).rejects.toThrow('genre_preference_rows');
    await closeRun(database, run);
  }
});

test('where most has changed the source is read as a whole', async () => {
  await database.pool.query('update movielens.ratings set rating = 6 - rating where rating between 1 and 5');
  await compare({ follows: false });
});

test('a night of an earlier as-of follows nothing, and the next one what is newest', async () => {
  const backfill = await night('2026-02-15T00:00:00Z');
  expect(backfill.follows).toBeNull();
  const followed = await compare({ follows: true });
  expect(followed.follows).not.toBe(backfill.run);
});

test('a rating that lay after the as-of is there once the as-of has passed it', async () => {
  // Who has such a rating is read every night: nobody but the one below.
  await database.pool.query(`delete from movielens.ratings where rating_timestamp > '2026-02-28'`);
  await compare({ follows: true });
  await database.pool.query(`insert into movielens.ratings values (17, 5, 3, '2026-03-01 05:00:00')`);
  await compare({ follows: true, changed: 1 });
  minute = 400;
  const followed = await compare({ follows: true });
  expect(followed.changed).toBe(1);
});

test('a batch that a crash of PostgreSQL has emptied is read again', async () => {
  const stages = createStages(database);
  for (const overrides of [[], ['ingestion.rebuild=true']]) {
    const [asOf] = nextAsOf();
    const run = await insertRun(database, { asOf, overrides: [...SMALL, ...LENIENT, ...overrides] });
    await database.pool.query(`update movielens.ratings set rating = 6 - rating where user_id = 15`);
    const first = await stages.ingestBronze({ run });
    expect(first.rows).toBeGreaterThan(0);
    await database.pool.query('truncate bronze.ratings');
    await stages.runGate({ run, scope: 'bronze' });
    await database.pool.query('truncate bronze.ratings');
    await stages.buildSilver({ run });
    const { rows } = await database.pool.query(
      'select count(*) as rows from bronze.ratings where _batch_id = $1',
      [run],
    );
    expect(rows).toEqual([{ rows: first.rows }]);
    await stages.runGate({ run, scope: 'silver' });
    await closeRun(database, run);
  }
  await compare({ follows: true, changed: 0 });
});

test('what was read to follow a snapshot that other rules have made by now is read anew', async () => {
  const stages = createStages(database);
  const [asOf] = nextAsOf();
  const run = await insertRun(database, { asOf, overrides: [...SMALL, ...LENIENT] });
  await database.pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
    create trigger refuse before insert on bronze.batches for each row execute function refuse()`);
  await expect(stages.ingestBronze({ run })).rejects.toThrow('refused');
  await database.pool.query(
    'drop function refuse cascade; update silver.snapshots set rules = 0 where rules > 0',
  );
  const read = await stages.ingestBronze({ run });
  expect(read.follows).toBeNull();
  await stages.buildSilver({ run });
  await closeRun(database, run);
  await compare({ follows: true, changed: 0 });
});

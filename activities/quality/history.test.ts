import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, forgetGoodNights, insertGoodNights, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot, publishNight } from '../../test/support/stages.ts';

let database: TestDatabase;
/** A night whose snapshot is that of every other one here. */
let first: number;
let run: number;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 30, 20);
  first = await publishNight(database, '2026-02-01T00:00:00Z');
});
afterAll(() => database.drop());
afterEach(async () => {
  await forgetGoodNights(database);
  await closeRun(database, run, 'failed');
});

const HISTORY = ['mean_rating_drift', 'rating_share_drift', 'volume_change'] as const;
/** With the first night four. */
const THREE = ['2026-01-20', '2026-01-21', '2026-01-22'];

/** The silver gate of a night; what it throws, and what the checks on history said. */
async function gate(asOf: string, overrides: string[] = []) {
  run = await insertRun(database, { asOf, overrides: [...SMALL, ...overrides] });
  const stages = createStages(database);
  await makeSnapshot(stages, run);
  const thrown = await stages.runGate({ run, scope: 'silver' }).then(
    () => '',
    (error: unknown) => (error as Error).message,
  );
  const rows = await database.db
    .selectFrom('quality.check_results')
    .selectAll()
    .where('run', '=', run)
    .where('check_name', 'in', HISTORY)
    .execute();
  return { thrown, of: Object.fromEntries(rows.map((row) => [row.check_name, row])) };
}

test('the numbers of a snapshot are kept, and can be had by SQL', async () => {
  const { rows } = await database.pool.query(
    `with counted as (
       select 'ratings' as statistic, count(*)::float8 as value from silver.ratings where image = $1
       union all select 'mean_rating', avg(rating::float8) from silver.ratings where image = $1
       union all
       select 'share_' || to_char(star, 'FM0.0'),
              count(*) filter (where rating = star)::float8 / count(*)
       from silver.ratings, generate_series(0.5, 5, 0.5) star where image = $1 group by star
     )
     select statistic from counted
     full join (select * from quality.source_statistics where run = $1) kept using (statistic)
     where abs(counted.value - kept.value) < 1e-9`,
    [first],
  );
  expect(rows).toHaveLength(12);
});

test('with fewer good nights than are asked for the checks are skipped, and say of how many', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE.slice(0, 1) });
  const { thrown, of } = await gate('2026-02-02T00:00:00Z', ['quality.thresholds.volume_change.error=0']);
  expect(thrown).toBe('');
  for (const check of HISTORY) {
    expect(of[check]).toMatchObject({ status: 'skipped', observed: null });
    expect(of[check].message).toContain('skipped (2 of 3)');
  }
});

test('the least number of nights is a setting', async () => {
  const { of } = await gate('2026-02-02T00:10:00Z', ['quality.history.minimumRuns=1']);
  for (const check of HISTORY) expect(of[check]).toMatchObject({ status: 'passed', observed: 0 });
});

interface Change {
  check: (typeof HISTORY)[number];
  /** What the nights before had, in SQL. */
  value: string;
  observed: number;
  says: string;
}

const changes: Change[] = [
  {
    check: 'volume_change',
    value: `case statistic when 'ratings' then value * 2 else value end`,
    observed: 0.5,
    says: '50.0% below the',
  },
  {
    check: 'volume_change',
    value: `case statistic when 'ratings' then value / 2 else value end`,
    observed: 1,
    says: '100.0% above the',
  },
  {
    check: 'mean_rating_drift',
    value: `case statistic when 'mean_rating' then value - 0.6 else value end`,
    observed: 0.6,
    says: '0.600 above the',
  },
  {
    check: 'rating_share_drift',
    // Every rating had been five stars, and none anything else.
    value: `case when statistic = 'share_5.0' then 1 when statistic like 'share%' then 0 else value end`,
    observed: 8,
    says: '5 stars went to',
  },
];

test.each(changes)('$check: $says, by its thresholds', async ({ check, value, observed, says }) => {
  await insertGoodNights(database, { like: first, asOf: THREE, value });
  const threshold = (error: number | null, warn: number | null): string[] => [
    `quality.thresholds.${check}.error=${error}`,
    `quality.thresholds.${check}.warn=${warn}`,
  ];
  const asOf = () => new Date(Date.UTC(2026, 1, 3, 0, 0, minute++)).toISOString();

  const passed = await gate(asOf(), threshold(100, 100));
  expect(passed.of[check].status).toBe('passed');
  expect(passed.of[check].observed).toBeGreaterThan(observed * 0.9);
  await closeRun(database, run, 'failed');

  const warned = await gate(asOf(), threshold(100, observed * 0.9));
  expect(warned).toMatchObject({ thrown: '', of: { [check]: { status: 'warned' } } });
  expect(warned.of[check].message).toContain(says);
  expect(warned.of[check].message).toContain('of the last 4 good nights');
  await closeRun(database, run, 'failed');

  const failed = await gate(asOf(), threshold(observed * 0.9, null));
  expect(failed.of[check].status).toBe('failed');
  expect(failed.thrown).toContain(says);
});
let minute = 0;

test('shares that have moved are shown, the most moved first', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE, value: changes[3].value });
  const { of } = await gate('2026-02-03T01:00:00Z');
  const sample = of.rating_share_drift.sample as { rating: number; share: number; before: number }[];
  expect(sample).toHaveLength(5);
  expect(sample[0]).toMatchObject({ rating: 5, before: 1 });
});

const DOUBLE = changes[0].value;

test('a backfill is held against nights of an earlier as-of only', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE, value: DOUBLE });
  await insertGoodNights(database, { like: first, asOf: ['2026-01-10', '2026-01-11', '2026-01-12'] });
  const { of } = await gate('2026-01-15T00:00:00Z', ['quality.thresholds.mean_rating_drift.warn=null']);
  expect(of.volume_change.message).not.toContain('skipped');
  // Some of the ratings are later than its as-of; the nights after it have 100% more than those before.
  expect(of.volume_change.observed).toBeLessThan(0.7);
  expect(of.volume_change.message).toContain('of the last 3 good nights');
});

test('only the last nights count, and only good ones', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE });
  await insertGoodNights(database, {
    like: first,
    asOf: ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04'],
    value: DOUBLE,
  });
  // Failed nights of the same day, as bad as can be.
  await insertGoodNights(database, { like: first, asOf: ['2026-02-02', '2026-02-03'], value: DOUBLE });
  await database.pool.query(
    `update pipeline.runs set status = 'failed' where workflow_id = 'past' and as_of >= '2026-02-02'`,
  );
  const { of } = await gate('2026-02-04T00:00:00Z', ['quality.history.runs=4']);
  expect(of.volume_change).toMatchObject({ status: 'passed', observed: 0 });
  expect(of.volume_change.message).not.toContain('skipped');
});

test('a night that begins the history anew is held against nothing, and later ones against nothing before it', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE, value: DOUBLE });
  const accepted = await gate('2026-02-05T00:00:00Z', [
    'quality.history.restart=true',
    'quality.thresholds.volume_change.error=0.1',
  ]);
  expect(accepted).toMatchObject({ thrown: '', of: { volume_change: { status: 'skipped' } } });
  await closeRun(database, run);
  const restart = { quality: { history: { restart: true } } };
  await insertGoodNights(database, { like: first, asOf: ['2026-02-06', '2026-02-07'], settings: restart });
  // The last one that began it anew: itself alone.
  expect((await gate('2026-02-08T00:00:00Z')).of.volume_change.message).toContain('skipped (1 of 3)');
  await database.pool.query(`update pipeline.runs set status = 'failed' where as_of = '2026-02-05'`);
});

test('the check of the source alone foretells them', async () => {
  await insertGoodNights(database, { like: first, asOf: THREE, value: DOUBLE });
  const input = { asOf: '2026-02-09T00:00:00Z', startedAt: new Date().toISOString(), profile: 'small' };
  const foretold = await createStages(database).checkSource({ ...input, overrides: SMALL });
  const { of } = await gate('2026-02-09T00:00:00Z');
  for (const check of HISTORY) {
    expect(foretold.find((one) => one.check === check)).toMatchObject({
      status: of[check].status,
      message: of[check].message,
      run: null,
    });
  }
});

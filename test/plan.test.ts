import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differingSettings } from '../database/compare-runs.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import type { NightPlan } from '../workflows/contracts.ts';
import { startScript } from './support/scripts.ts';
import { fillSource, insertRatings } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
const asOfOf = (day: number): string => new Date(Date.UTC(2026, 1, day)).toISOString();
const sets = (overrides: string[]): string[] => overrides.flatMap((one) => ['--set', one]);

async function run(day: number, more: string[] = []) {
  const request = { asOf: asOfOf(day), profile: 'small', overrides: [...SMALL, ...more] };
  const handle = await startNight(night.client, request);
  return outcomeOf(handle, handle.result());
}

beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 20);
});
afterAll(() => night.close());

const command = (...args: string[]) =>
  startScript(['pipeline', ...args], {
    DATABASE_URL: night.database.url,
    TEMPORAL_ADDRESS: night.address,
    TEMPORAL_NAMESPACE: night.namespace,
  }).finished;

async function plan(day: number, ...overrides: string[]): Promise<NightPlan> {
  const { code, stdout, stderr } = await command(
    'plan',
    ...['--as-of', asOfOf(day), '--profile', 'small', '--json'],
    ...sets([...SMALL, ...overrides]),
  );
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as NightPlan;
}

/** Every row of every table, the catalogue of tables with them. */
async function digestEverything(): Promise<Record<string, string>> {
  const { pool } = night.database;
  const { rows: tables } = await pool.query<{ name: string }>(`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'S') and n.nspname !~ '^(pg_|information_schema)' order by 1`);
  const digests: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ row: string }>(
      `select row(t.*)::text as row from ${name} t order by 1`,
    );
    digests[name] = createHash('sha256').update(JSON.stringify(rows)).digest('hex');
  }
  return digests;
}

test('before the first night: it would read, train the challengers, and publish', async () => {
  const planned = await plan(1);
  const { rows } = await night.database.pool.query<{ ratings: number }>(
    'select count(*) as ratings from movielens.ratings',
  );
  expect(planned).toMatchObject({
    as_of: asOfOf(1),
    start: { what: 'new run', run: null },
    source: { ratings: rows[0].ratings, movies: 20, after_as_of: 0, problem: null },
    train: { baseline: 'popular', champion: null, twins: 2 },
    publish: { may: true, served: null, blocked_movies: 0 },
    forget: { kept_versions: [], retired_versions: [], snapshots: [], user_metrics: [], experiments: [] },
  });
  expect(planned.gates.map(({ scope }) => scope)).toEqual([
    'source',
    'bronze',
    'silver',
    'features',
    'model',
    'publish',
  ]);
  const [{ checks }] = planned.gates;
  expect(checks.find(({ check }) => check === 'ratings_minimum')).toMatchObject({
    severity: 'error',
    expected: 'at least 10 ratings',
  });
});

describe('after two nights', () => {
  beforeAll(async () => {
    for (const day of [1, 2]) expect(await run(day)).toMatchObject({ status: 'success', published: true });
    await insertRatings(night.database, [[1, 1, 3, '2026-02-20 00:00:00']]);
  });

  test('a plan writes nothing, and tells of the champion and of what retention deletes', async () => {
    const before = await digestEverything();
    expect(Object.keys(before).length).toBeGreaterThan(50);
    const planned = await plan(3, 'publishing.keepVersions=2', 'retention.userMetricsNights=1');
    expect(await digestEverything()).toEqual(before);
    expect(planned).toMatchObject({
      source: { after_as_of: 1 },
      train: { champion: expect.stringContaining('als rank=') as string, twins: 2 },
      publish: { may: true, served: expect.stringMatching(/run2$/) as string },
      forget: {
        kept_versions: [2],
        retired_versions: [1],
        snapshots: [2],
        user_metrics: [1],
        experiments: [],
      },
    });
    expect(planned.source.newest_rating_at).toMatch(/^2026-01-/);
    const { code, stdout } = await command(
      'plan',
      '--as-of',
      asOfOf(3),
      '--profile',
      'small',
      ...sets(SMALL),
    );
    expect(code).toBe(0);
    expect(stdout).toContain('ratings_minimum');
    expect(stdout).toContain('at least 10 ratings');
    expect(await digestEverything()).toEqual(before);
  });

  test('what was planned to be deleted is what the night deletes', async () => {
    const overrides = ['publishing.keepVersions=2', 'retention.userMetricsNights=1'];
    expect(await run(3, overrides)).toMatchObject({ run: 3, published: true });
    const runs = async (text: string) =>
      (await night.database.pool.query<{ run: number }>(text)).rows.map((row) => row.run);
    expect(await runs('select run from serving.versions where retired_at is null order by 1')).toEqual([
      2, 3,
    ]);
    expect(await runs('select distinct run from experiments.user_metrics order by 1')).toEqual([2, 3]);
    // The image of the newest snapshot.
    const held = `select max(run) as run from silver.snapshots
      where image in (select distinct image from silver.ratings) group by image`;
    expect(await runs(held)).toEqual([3]);
    expect(await runs('select distinct run from experiments.evaluations order by 1')).toEqual([1, 2, 3]);
  });

  test('experiments go after their nights, kept versions apart', async () => {
    const overrides = ['publishing.keepVersions=2', 'retention.experimentNights=1'];
    expect((await plan(4, ...overrides)).forget.experiments).toEqual([1, 2]);
    expect(await run(4, overrides)).toMatchObject({ run: 4 });
    for (const table of ['evaluations', 'comparisons', 'ab_test_results']) {
      const { rows } = await night.database.pool.query(
        `select distinct run from experiments.${table} where run < 3`,
      );
      expect(rows, table).toEqual([]);
    }
    const { rows } = await night.database.pool.query('select distinct run from models.promotions');
    expect(rows).toHaveLength(4);
  });

  test('a known as-of, other settings for it, and a backfill are told as such', async () => {
    expect(await plan(1)).toMatchObject({
      start: { what: 'known run', run: 1 },
      publish: { may: false, why: expect.stringContaining('a backfill') as string },
    });
    expect((await plan(1, 'similar.perMovie=3')).start).toMatchObject({ what: 'refusal', run: 1 });
  });

  test('a source that cannot be read is said so', async () => {
    await night.database.pool.query('alter table movielens.ratings rename column rating to stars');
    try {
      expect((await plan(5)).source).toEqual({
        ratings: null,
        movies: null,
        after_as_of: null,
        newest_rating_at: null,
        problem: 'no column movielens.ratings.rating',
      });
    } finally {
      await night.database.pool.query('alter table movielens.ratings rename column stars to rating');
    }
  });
});

test('two runs are held side by side: data, gates, twins, decision, seconds, settings', async () => {
  await run(6, ['similar.perMovie=4']);
  await run(7, ['quality.minimumRatings=100000000']);
  const { code, stdout, stderr } = await command('compare', '5', '6', '--json');
  expect(code, stderr).toBe(0);
  const { runs, settings } = JSON.parse(stdout) as {
    runs: {
      run: number;
      status: string;
      data: Record<string, number>;
      gates: { check_name: string; status: string }[];
      twins: { configuration: string; rmse: number | null }[];
      decision?: { decision: string };
      stages: { stage: string; seconds: number | null }[];
    }[];
    settings: { setting: string; a: unknown; b: unknown }[];
  };
  expect(runs.map((one) => [one.run, one.status])).toEqual([
    [5, 'success'],
    [6, 'failed'],
  ]);
  expect(settings).toEqual([
    { setting: 'quality.thresholds.ratings_minimum.error', a: 10, b: 100_000_000 },
    { setting: 'similar.perMovie', a: 4, b: 10 },
  ]);
  const [first, second] = runs;
  expect(first.data).toMatchObject({ users: 30, movies: 20 });
  expect(first.data.train + first.data.holdout).toBe(first.data.silver_ratings);
  expect(first.twins.map(({ rmse }) => rmse !== null)).toEqual([true, true, false]);
  expect(first.decision?.decision).toBe('refresh');
  expect(first.stages.map(({ stage }) => stage)).toContain('publish');
  expect(second.gates.find(({ check_name }) => check_name === 'ratings_minimum')?.status).toBe('failed');
  expect(second.twins).toEqual([]);

  const shown = await command('compare', '5', '6');
  expect(shown.code).toBe(0);
  for (const words of [
    'similar.perMovie',
    'silver_ratings',
    'ratings_minimum',
    'ndcg_at_10',
    'run 5: refresh:',
  ])
    expect(shown.stdout).toContain(words);
});

test.each([
  [['compare', '1', '99'], 'run 99: there is no such run'],
  [['compare', '1', 'two'], 'expected the number of a run'],
  [['compare', '1'], "missing required argument 'other'"],
  [['plan', '--set', 'retention.userMetricsNights=0'], '--set retention.userMetricsNights'],
])('%s: one line, exit code 2', async (args, says) => {
  const { code, stdout, stderr } = await command(...args);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(says);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('settings differ by section and key, lists as a whole', () => {
  expect(differingSettings({ a: { b: 1, c: [1, 2] }, d: 1 }, { a: { b: 2, c: [1, 2] }, e: null })).toEqual([
    { setting: 'a.b', a: 1, b: 2 },
    { setting: 'd', a: 1, b: null },
    { setting: 'e', a: null, b: null },
  ]);
});

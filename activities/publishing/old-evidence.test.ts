import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { resolveSettings } from '../../config/settings.ts';
import { fillSource } from '../../test/support/source.ts';
import { createStages, makeSnapshot } from '../../test/support/stages.ts';
import { wouldForget } from './would-forget.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 10, 10);
});
afterAll(() => database.drop());

const OVERRIDES = ['retention.experimentNights=2', 'retention.abandonedDays=10'];
let day = 1;
/** Of an as-of that is not published, so that nobody is missing from its snapshot. */
const night = () =>
  insertRun(database, {
    asOf: new Date(Date.UTC(2026, 2, day++)).toISOString(),
    overrides: OVERRIDES,
    mayPublish: false,
  });

/** A grid search and an A/B test on a run, with a row in each table of theirs. */
async function experiment(
  run: number,
  name: string,
  ago: { created: number; finished?: number },
): Promise<void> {
  const at = (days: number | undefined): string =>
    days === undefined ? 'null' : `now() - interval '${days} days'`;
  const times = `${at(ago.created)}, ${at(ago.finished)}`;
  await database.pool.query(`
    with search as (
      insert into experiments.grid_searches
        (workflow_id, execution_id, run, metric, points, code_version, created_at, finished_at)
      values ('${name}', 'x', ${run}, 'rmse', '[]', 'test', ${times}) returning search
    )
    insert into experiments.grid_search_results
      (search, configuration, parameters, family, rank, iterations, reg_param, status)
    select search, 'als', '{}', 'als', 1, 1, 1, 'ok' from search;
    insert into experiments.ab_tests
      (test_id, execution_id, run, metric, arms, seeds, resamples, bootstrap_seed, code_version, created_at, finished_at)
    values ('${name}', 'x', ${run}, 'rmse', '[]', '[]', 100, 1, 'test', ${times});
    insert into experiments.ab_test_arms (test_id, arm, ab_group, name, configurations, value)
    values ('${name}', 1, 'A', 'als', '{als}', 1);
    insert into experiments.ab_test_comparisons
      (test_id, arm, difference, interval_low, interval_high, p_value, p_adjusted, users, decided)
    values ('${name}', 2, 0, 0, 0, 1, 1, 1, false);
    insert into experiments.ab_test_users (test_id, user_id, ab_group) values ('${name}', 1, 'A')`);
}

/** What is left in each table, by the names of the experiments. */
async function left(): Promise<Record<string, string[]>> {
  const of = async (table: string, name: string): Promise<[string, string[]]> => {
    const { rows } = await database.pool.query<{ name: string }>(
      `select ${name} as name from experiments.${table} order by 1`,
    );
    return [table, rows.map((row) => row.name)];
  };
  const bySearch = '(select workflow_id from experiments.grid_searches g where g.search = r.search)';
  return Object.fromEntries([
    await of('grid_searches', 'workflow_id'),
    await of('grid_search_results r', bySearch),
    await of('ab_tests', 'test_id'),
    await of('ab_test_arms', 'test_id'),
    await of('ab_test_comparisons', 'test_id'),
    await of('ab_test_users', 'test_id'),
  ]);
}

test('experiments of engineers are kept as long as the nights, and what never ended for some days', async () => {
  const runs: number[] = [];
  for (let at = 0; at < 3; at++) {
    runs.push(await night());
    await closeRun(database, runs[at]);
  }
  await experiment(runs[0], 'old', { created: 1, finished: 1 });
  await experiment(runs[0], 'old but under way', { created: 1 });
  await experiment(runs[2], 'of last night', { created: 40, finished: 40 });
  await experiment(runs[2], 'given up', { created: 11 });
  await experiment(runs[2], 'cancelled of late', { created: 9 });
  const run = await night();
  const { abandoned } = await wouldForget(database.db, resolveSettings('small', OVERRIDES), true);
  expect(abandoned).toBe(2);
  await makeSnapshot(createStages(database), run);
  await createStages(database).retireVersions({ run });
  const stays = ['cancelled of late', 'of last night', 'old but under way'];
  expect(await left()).toEqual({
    grid_searches: stays,
    'grid_search_results r': stays,
    ab_tests: stays,
    ab_test_arms: stays,
    ab_test_comparisons: stays,
    ab_test_users: stays,
  });
  await closeRun(database, run);
});

test('an experiment on the run of a kept version stays with it', async () => {
  const kept = await night();
  await database.pool.query(
    `insert into serving.versions (run, model_version, provenance, generated_at, published_at, served_at)
     values ($1, 'kept', 'als', now(), now(), now())`,
    [kept],
  );
  await closeRun(database, kept);
  await experiment(kept, 'on a kept version', { created: 1, finished: 1 });
  for (let at = 0; at < 3; at++) await closeRun(database, await night());
  const run = await night();
  await makeSnapshot(createStages(database), run);
  await createStages(database).retireVersions({ run });
  expect((await left()).ab_tests).toContain('on a kept version');
  expect((await left()).grid_searches).toContain('on a kept version');
});

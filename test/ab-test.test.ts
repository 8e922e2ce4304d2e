import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Arm } from '../config/ab-test.ts';
import { digestRun } from '../database/digest.ts';
import { configurationKey, userGroup } from '../recommender/index.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import {
  type AbTestResult,
  type AdHocAbTestRequest,
  type NightProgress,
  PROGRESS_QUERY,
  TASK_QUEUES,
} from '../workflows/contracts.ts';
import type { abTest } from '../workflows/index.ts';
import { startScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
/** Of the night, before any test on its snapshot. */
let digest: string;
beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 60, 40);
  const request = { asOf: '2026-02-01T00:00:00.000Z', profile: 'small', overrides: SMALL };
  const handle = await startNight(night.client, request);
  expect(await outcomeOf(handle, handle.result())).toMatchObject({ run: 1, status: 'success' });
  ({ digest } = await digestRun(night.database.db, 1));
});
afterAll(() => night.close());

const als = (rank: number, regularization = 0.1, seed = 42): Arm => ({
  family: 'als',
  rank,
  iterations: 4,
  regularization,
  seed,
});

type Asked = Omit<AdHocAbTestRequest, 'adHoc'>;

function start(workflowId: string, asked: Asked): Promise<WorkflowHandle<typeof abTest>> {
  return night.client.workflow.start<typeof abTest>('abTest', {
    workflowId,
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ adHoc: true, ...asked }],
  });
}

async function rows<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await night.database.pool.query(text, values)).rows as Row[];
}

/** Everything that a test has kept, in one order. */
const kept = (id: string) =>
  Promise.all(
    [
      'ab_tests where test_id = $1',
      'ab_test_arms where test_id = $1 order by arm',
      'ab_test_comparisons where test_id = $1 order by arm',
      'ab_test_results where test_id = $1 order by ab_group',
      'ab_test_users where test_id = $1 order by user_id',
    ].map((from) => rows(`select * from experiments.${from}`, [id])),
  );

describe('three arms with three seeds, in salted groups', () => {
  const ID = 'three-arms';
  // The last is far worse: its comparison decides.
  const asked: Asked = {
    arms: [als(3), als(4), als(3, 50)],
    metric: 'rmse',
    salt: 'autumn',
    seeds: [1, 2, 3],
  };
  let handle: WorkflowHandle<typeof abTest>;
  let found: AbTestResult;
  beforeAll(async () => {
    handle = await start(ID, asked);
    found = (await handle.result()) as AbTestResult;
  });

  test('each arm is trained with each seed, and each twin has its users', async () => {
    const twins = await rows<{ configuration: string; users: number }>(
      `select configuration, (select count(*) from experiments.user_metrics m
         where m.run = e.run and m.configuration = e.configuration) as users
       from experiments.evaluations e where run = 1 and test_id = $1 order by 1`,
      [ID],
    );
    expect(twins).toHaveLength(9);
    expect(new Set(twins.map(({ users }) => users)).size).toBe(1);
  });

  test('differences, groups and seed noise are recomputed by SQL from the per-user metrics', async () => {
    const recomputed = await rows<Record<string, number | string | null>>(
      `with by_user as (
         select a.arm, m.user_id, avg(m.squared_error) as squared_error, max(m.scored) as scored
         from experiments.ab_test_arms a
         join experiments.user_metrics m on m.run = 1 and m.configuration = any (a.configurations)
         where a.test_id = $1 group by 1, 2
       ), value as (
         select arm, sqrt(sum(squared_error) / sum(scored)) as value from by_user group by 1
       ), by_group as (
         select b.arm, sqrt(sum(squared_error) / sum(scored)) as group_value, count(*) as users
         from by_user b
         join experiments.ab_test_users u on u.test_id = $1 and u.user_id = b.user_id
         join experiments.ab_test_arms a on a.test_id = $1 and a.arm = b.arm and a.ab_group = u.ab_group
         group by 1
       ), by_seed as (
         select a.arm, s.seed, sqrt(sum(m.squared_error) / sum(m.scored)) as value
         from experiments.ab_test_arms a
         cross join lateral unnest(a.configurations) with ordinality s (configuration, seed)
         join experiments.user_metrics m on m.run = 1 and m.configuration = s.configuration
         where a.test_id = $1 group by 1, 2
       )
       select v.arm, v.value, f.value - v.value as difference, g.group_value, g.users::int as group_users,
              stddev_samp(s.value) as seed_deviation, stddev_samp(first_s.value - s.value) as difference_seed_deviation
       from value v join value f on f.arm = 1 join by_group g on g.arm = v.arm
       join by_seed s on s.arm = v.arm join by_seed first_s on first_s.arm = 1 and first_s.seed = s.seed
       group by v.arm, v.value, f.value, g.group_value, g.users order by v.arm`,
      [ID],
    );
    const stored = await rows<Record<string, number | string | null>>(
      `select a.arm, a.value, coalesce(c.difference, 0) as difference, a.group_value, r.users as group_users,
              a.seed_deviation, coalesce(c.seed_deviation, 0) as difference_seed_deviation
       from experiments.ab_test_arms a left join experiments.ab_test_comparisons c using (test_id, arm)
       join experiments.ab_test_results r using (test_id, ab_group) where test_id = $1 order by arm`,
      [ID],
    );
    expect(stored).toHaveLength(3);
    for (const [at, row] of stored.entries())
      for (const [column, value] of Object.entries(row))
        expect(value, `${column} of arm ${at + 1}`).toBeCloseTo(Number(recomputed[at][column]), 10);
    expect(stored[1].seed_deviation).toBeGreaterThan(0);
  });

  test('the groups are those of the salted hash', async () => {
    const users = await rows<{ user_id: number; ab_group: string }>(
      'select user_id, ab_group from experiments.ab_test_users where test_id = $1',
      [ID],
    );
    expect(users.length).toBeGreaterThan(50);
    for (const { user_id, ab_group } of users) expect('ABC'[userGroup(user_id, 3, 'autumn')]).toBe(ab_group);
  });

  test("p-values are corrected by Holm's rule, and the decision is in words", async () => {
    const [second, third] = await rows<{ p_value: number; p_adjusted: number; decided: boolean }>(
      'select p_value, p_adjusted, decided from experiments.ab_test_comparisons where test_id = $1 order by arm',
      [ID],
    );
    const [least, most] = [second, third].toSorted((a, b) => a.p_value - b.p_value);
    expect(least.p_adjusted).toBe(Math.min(1, 2 * least.p_value));
    expect(most.p_adjusted).toBe(Math.max(least.p_adjusted, most.p_value));
    expect(third.decided).toBe(true);
    expect(found.note).toMatch(/ by \d\.\d{4} rmse \[.*\], p .* \(Holm\)/);
    expect(found.note).toContain('seeds alone move the difference by 0.');
    const winners = await rows(
      'select model_name from experiments.ab_test_results where test_id = $1 and is_winner',
      [ID],
    );
    expect(winners).toEqual([{ model_name: found.winner }]);
    expect(found.winner).not.toContain('seed=');
  });

  test('tells how each twin goes', async () => {
    const { run, stages } = await handle.query<NightProgress>(PROGRESS_QUERY);
    expect(run).toBe(1);
    expect(stages.map(({ stage }) => stage)).toEqual([
      'begin',
      ...[3, 4].flatMap((rank) => [1, 2, 3].map((seed) => `rank ${rank} reg 0.1 seed ${seed}`)),
      ...[1, 2, 3].map((seed) => `rank 3 reg 50 seed ${seed}`),
      'comparison',
    ]);
    expect(stages.every(({ state }) => state === 'done')).toBe(true);
  });

  test('asked again under the same id, it is the same test', async () => {
    const before = await kept(ID);
    expect(await (await start(ID, asked)).result()).toEqual(found);
    expect(await kept(ID)).toEqual(before);
  });

  test('under the same id, other arms are refused', async () => {
    await expect(failure(ID, { ...asked, metric: 'mae' })).resolves.toMatchObject({
      type: 'InvalidRequest',
      message: expect.stringContaining('with other arms, metric, salt or seeds') as string,
    });
  });

  test('the run that it is on stays as it was', async () => {
    expect(await digestRun(night.database.db, 1)).toMatchObject({ digest });
    expect(await rows(`select from pipeline.stages where status <> 'done'`)).toEqual([]);
    expect(await rows('select from pipeline.checkpoints')).toEqual([]);
  });
});

test("a night's own twins are used as they are, and its comparison comes out again", async () => {
  const before = await rows(
    'select * from experiments.evaluations where test_id is null order by configuration',
  );
  const found = (await (
    await start('as-at-night', { arms: [als(3), als(4)], metric: 'rmse' })
  ).result()) as AbTestResult;
  expect(
    await rows('select * from experiments.evaluations where test_id is null order by configuration'),
  ).toEqual(before);
  const columns = 'difference, interval_low, interval_high, p_value, users';
  expect(
    await rows(`select ${columns} from experiments.ab_test_comparisons where test_id = $1`, [found.test]),
  ).toEqual(
    await rows(
      `select ${columns} from experiments.comparisons
       where run = 1 and metric = 'rmse' and configuration_a = $1 and configuration_b = $2`,
      [als(3), als(4)].map(configurationKey),
    ),
  );
  const groups =
    'ab_group, model_name, rank, rmse, mae, precision_at_10, users, predictions, is_winner, sample_ratio_p';
  const [ofNight, own] = await Promise.all(
    ['run-1', 'as-at-night'].map((id) =>
      rows<Record<string, unknown>>(
        `select ${groups} from experiments.ab_test_results where test_id = $1 order by ab_group`,
        [id],
      ),
    ),
  );
  expect(own).toHaveLength(2);
  for (const [at, row] of own.entries())
    for (const [column, value] of Object.entries(row))
      if (typeof value === 'number') expect(value, column).toBeCloseTo(Number(ofNight[at][column]), 12);
      else expect(value, column).toEqual(ofNight[at][column]);
});

test('the baseline is an arm of a ranking metric, measured once whatever the seeds', async () => {
  const arms: Arm[] = [{ family: 'popular' }, { ...als(3), family: 'als-implicit', alpha: 1 } as Arm];
  const found = (await (
    await start('ranking', { arms, metric: 'ndcg@10', seeds: [1, 2] })
  ).result()) as AbTestResult;
  const stored = await rows(
    `select name, cardinality(configurations) as twins, seed_deviation is null as certain
     from experiments.ab_test_arms where test_id = $1 order by arm`,
    [found.test],
  );
  expect(stored).toEqual([
    { name: 'popular', twins: 1, certain: true },
    { name: 'als-implicit rank=3 iterations=4 reg=0.1 alpha=1', twins: 2, certain: false },
  ]);
  expect(found.note).toContain('ndcg@10');
});

async function failure(workflowId: string, asked: Asked): Promise<unknown> {
  const handle = await start(workflowId, asked);
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  return ((error as WorkflowFailedError).cause as Error).cause;
}

test.each<[string, Asked, string, string]>([
  [
    'no-such-metric',
    { arms: [als(3), { family: 'popular' }], metric: 'mae' },
    'InvalidRequest',
    '--metric mae: popular predicts no ratings',
  ],
  ['no-such-run', { arms: [als(3), als(4)], metric: 'mae', run: 99 }, 'SnapshotGone', 'run 99 is not kept'],
  ['unusable', { arms: [als(3), als(60, 1e-300)], metric: 'rmse' }, 'ModelUnusable', 'not finite'],
])('%s fails at once with one sentence', async (workflowId, asked, type, says) => {
  expect(await failure(workflowId, asked)).toMatchObject({
    type,
    message: expect.stringContaining(says) as string,
  });
});

test('twins that were measured on other ratings are no pair', async () => {
  await rows(
    `delete from experiments.user_metrics where run = 1 and user_id = (select min(user_id) from experiments.user_metrics)
     and configuration = $1`,
    [configurationKey(als(4, 0.1, 3))],
  );
  expect(await failure('no-pair', { arms: [als(3, 0.1, 3), als(4, 0.1, 3)], metric: 'rmse' })).toMatchObject({
    type: 'SnapshotGone',
    message: expect.stringContaining('not measured on the same ratings') as string,
  });
});

describe('npm run pipeline -- ab-test', () => {
  const env = () => ({
    DATABASE_URL: night.database.url,
    TEMPORAL_ADDRESS: night.address,
    TEMPORAL_NAMESPACE: night.namespace,
    // Part of a test's identity: a commit in between is not to matter.
    NIGHTJAR_CODE_VERSION: 'test',
  });
  const ARMS = ['--arm', 'als rank=3 iterations=4', '--arm', 'als rank=4 iterations=4', '--seeds', '5,6'];
  const pipeline = (words: string[]) => startScript(['pipeline', 'ab-test', ...words], env()).finished;

  test('shows the arms and the decision; asked again it is the same test, as JSON too', async () => {
    const { code, stdout, stderr } = await pipeline(ARMS);
    expect(code, stderr).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines.filter((line) => line.includes('als rank='))[0]).toMatch(/als rank=3 iterations=4 reg=0.1 /);
    expect(stdout).toContain('p (Holm)');
    expect(lines.at(-1)).toMatch(/(is better than|undecided: )/);
    const again = await pipeline([...ARMS, '--json']);
    expect(again.stderr).toContain('asked for before');
    expect(JSON.parse(again.stdout)).toMatchObject({
      run: 1,
      metric: 'rmse',
      decision: lines.at(-1),
      arms: [{ arm: 1, difference: null }, { arm: 2 }],
    });
    const detached = await pipeline([...ARMS, '--no-wait', '--json']);
    expect(JSON.parse(detached.stdout)).toMatchObject({ run: 1, status: 'running' });
  });

  test.each([
    [['--arm', 'als'], '--arm: 1 arm; expected 2 to 4'],
    [['--arm', 'als', '--arm', 'svd'], "--arm 'svd': expected als, als-biased"],
    [['--arm', 'als', '--arm', 'popular'], '--metric rmse: popular predicts no ratings'],
    [[...ARMS, '--run', '99'], '--run 99: the snapshot of that run is not kept; kept are 1'],
    [[...ARMS.slice(0, 4), '--seeds', '1,1'], 'expected values that differ'],
  ])('%s is refused in one line', async (words, says) => {
    const { code, stdout, stderr } = await pipeline(words);
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelConfiguration } from '../config/settings.ts';
import { configurationKey } from '../recommender/index.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import {
  type GridSearchRequest,
  type GridSearchResult,
  type NightProgress,
  PROGRESS_QUERY,
  TASK_QUEUES,
} from '../workflows/contracts.ts';
import type { gridSearch } from '../workflows/index.ts';
import { runScript, startScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 20);
  const request = { asOf: '2026-02-01T00:00:00.000Z', profile: 'small', overrides: SMALL };
  const handle = await startNight(night.client, request);
  expect(await outcomeOf(handle, handle.result())).toMatchObject({ run: 1, status: 'success' });
});
afterAll(() => night.close());

const point = (rank: number, regularization: number): ModelConfiguration => ({
  family: 'als',
  rank,
  iterations: 4,
  regularization,
  seed: 42,
});
/** More dimensions than ratings and as good as no penalty: no row's equations can be solved. */
const UNUSABLE = point(60, 1e-300);

function start(workflowId: string, request: GridSearchRequest): Promise<WorkflowHandle<typeof gridSearch>> {
  return night.client.workflow.start<typeof gridSearch>('gridSearch', {
    workflowId,
    taskQueue: TASK_QUEUES.pipeline,
    args: [request],
  });
}

const env = () => ({
  DATABASE_URL: night.database.url,
  TEMPORAL_ADDRESS: night.address,
  TEMPORAL_NAMESPACE: night.namespace,
  // Part of a search's identity: a commit in between is not to matter.
  NIGHTJAR_CODE_VERSION: 'test',
});

async function rows<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await night.database.pool.query(text, values)).rows as Row[];
}

describe('a search of four points, one of which gives no usable model', () => {
  const request: GridSearchRequest = {
    points: [point(3, 0.1), UNUSABLE, point(3, 0.3), point(5, 0.1)],
    metric: 'rmse',
  };
  let handle: WorkflowHandle<typeof gridSearch>;
  let found: GridSearchResult;
  beforeAll(async () => {
    handle = await start('four-points', request);
    found = await handle.result();
  });

  test('every point lands, and the best is that of the least error', async () => {
    expect(found).toMatchObject({ run: 1, metric: 'rmse', points: 4, failed: 1 });
    const points = await rows<{ configuration: string; status: string }>(
      `select configuration, status from experiments.grid_search_results
       where search = $1 and (status = 'ok') = (rmse is not null and training_seconds > 0 and reason is null)
       order by rmse`,
      [found.search],
    );
    expect(points.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'failed']);
    const [best] = await rows(
      `select configuration, rmse, parameters from experiments.grid_search_results
       where search = $1 and rmse = (select min(rmse) from experiments.grid_search_results where search = $1)`,
      [found.search],
    );
    const { configuration, parameters, value: rmse } = found.best;
    expect(best).toEqual({ configuration, parameters, rmse });
    expect(
      await rows(
        `select best_configuration, workflow_id, run, finished_at >= created_at as finished,
           (select array_agg(configuration) from experiments.grid_search_results r where r.search = g.search and is_best) as marked
         from experiments.grid_searches g where search = $1`,
        [found.search],
      ),
    ).toEqual([
      {
        best_configuration: configuration,
        workflow_id: 'four-points',
        run: 1,
        finished: true,
        marked: [configuration],
      },
    ]);
  });

  test('writes nothing beside its own rows', async () => {
    expect(await rows('select run, status from pipeline.runs')).toEqual([{ run: 1, status: 'success' }]);
    expect(await rows('select from pipeline.checkpoints')).toEqual([]);
    expect(await rows('select from experiments.evaluations')).toHaveLength(3);
    expect(await rows(`select from pipeline.stages where status <> 'done'`)).toEqual([]);
  });

  test('tells how each point goes', async () => {
    const { run, stages } = await handle.query<NightProgress>(PROGRESS_QUERY);
    expect(run).toBe(1);
    expect(stages.map(({ stage, state }) => [stage, state])).toEqual([
      ['begin', 'done'],
      ['rank 3 reg 0.1', 'done'],
      ['rank 60 reg 1e-300', 'failed'],
      ['rank 3 reg 0.3', 'done'],
      ['rank 5 reg 0.1', 'done'],
      ['best', 'done'],
    ]);
    expect(stages[2].note).toContain('not finite');
    const details = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
    expect(details).toContain('**Run 1**');
    expect(details).toContain(`**best of 4**: ${found.best.configuration}`);
  });

  test('asked again under the same id, it is the same search', async () => {
    const before = await rows('select * from experiments.grid_search_results order by search, configuration');
    expect(await (await start('four-points', request)).result()).toEqual(found);
    const after = await rows('select * from experiments.grid_search_results order by search, configuration');
    expect(after).toEqual(before);
    expect(await rows('select from experiments.grid_searches')).toHaveLength(1);
  });

  test('leaves a short history without large payloads', async () => {
    const { events } = await handle.fetchHistory();
    expect(events?.length).toBeLessThan(100);
    expect(JSON.stringify(events).length).toBeLessThan(200_000);
  });
});

test('the largest search there may be keeps below 1,000 events and 16 KiB a payload', async () => {
  const points = Array.from({ length: 64 }, (_, at) => ({
    ...point(2 + (at % 2), 0.1),
    seed: 1_000_000 + at,
  }));
  // Its points are there already: training them would take a minute, and its history is what is looked at.
  const { db } = night.database;
  const { search } = await db
    .insertInto('experiments.grid_searches')
    .values({
      workflow_id: 'sixty-four',
      execution_id: 'an-earlier-one',
      run: 1,
      metric: 'ndcg@10',
      points: JSON.stringify(points),
      code_version: 'test',
    })
    .returning('search')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('experiments.grid_search_results')
    .values(
      points.map(({ family, rank, iterations, regularization, seed }, at) => ({
        search,
        configuration: configurationKey(points[at]),
        parameters: JSON.stringify(points[at]),
        family,
        rank,
        iterations,
        reg_param: regularization,
        status: 'ok' as const,
        ndcg_at_10: ((seed * 7) % 64) / 64,
      })),
    )
    .execute();
  const handle = await start('sixty-four', { points, metric: 'ndcg@10' });
  const found = await handle.result();
  expect(found).toMatchObject({ search, points: 64, failed: 0, best: { value: 63 / 64 } });
  const { events = [] } = await handle.fetchHistory();
  expect(events?.length).toBeLessThan(1_000);
  let largest = 0;
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) largest = Math.max(largest, value.length);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(events);
  expect(largest).toBeGreaterThan(1_000);
  expect(largest).toBeLessThan(16_384);
});

/** Keeps every point from writing its row until it is released. */
async function holdPoints(): Promise<() => Promise<void>> {
  const client = await night.database.pool.connect();
  await client.query('begin');
  await client.query('set local idle_in_transaction_session_timeout = 0');
  await client.query('lock table experiments.grid_search_results in exclusive mode');
  return async () => {
    await client.query('rollback');
    client.release();
  };
}

const waitingPoints = async (): Promise<number> =>
  (
    await rows(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
       and query like 'insert into "experiments"."grid_search_results"%'`,
    )
  ).length;

test('a cancelled search stops at once; started again it goes on with the points that it has', async () => {
  const request: GridSearchRequest = { points: [point(3, 0.1), point(4, 0.1)], metric: 'rmse' };
  const release = await holdPoints();
  try {
    const handle = await start('cancelled', request);
    await expect.poll(waitingPoints, { timeout: 30_000, interval: 20 }).toBe(1);
    const asked = performance.now();
    await handle.cancel();
    const failure: unknown = await handle.result().catch((error: unknown) => error);
    expect((failure as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(await waitingPoints()).toBe(0);
    expect((performance.now() - asked) / 1000).toBeLessThan(5);
  } finally {
    await release();
  }
  expect(await (await start('cancelled', request)).result()).toMatchObject({ points: 2, failed: 0 });
});

test.each([
  ['only-unusable', { points: [UNUSABLE] }, 'ModelUnusable', 'no point of 1 has the metric rmse'],
  [
    'no-such-metric',
    { points: [{ ...point(3, 0.1), family: 'als-implicit' as const, alpha: 1 }] },
    'InvalidRequest',
    '--metric rmse: no point has it, because als-implicit predicts no ratings',
  ],
  ['no-such-run', { run: 99, points: [point(3, 0.1)] }, 'SnapshotGone', 'the snapshot of run 99 is not kept'],
])('%s fails at once with one sentence', async (workflowId, request, type, says) => {
  const handle = await start(workflowId, { metric: 'rmse', ...request });
  const failure: unknown = await handle.result().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  const { cause } = (failure as WorkflowFailedError).cause as Error;
  expect(cause).toMatchObject({ type, message: expect.stringContaining(says) as string });
});

describe('npm run pipeline -- grid-search', () => {
  const pipeline = (line: string) => runScript(`pipeline ${line}`, env());
  const GRID = 'grid-search --rank 3,6 --reg 0.1,0.3 --iterations 4';

  test('shows the points by their metric, the best marked, and last the command that makes it a candidate', async () => {
    const { code, stdout, stderr } = await pipeline(GRID);
    expect(stderr).toMatch(/✓ rank 6 reg 0.3/);
    expect(code).toBe(0);
    const lines = stdout.trim().split('\n');
    const points = lines.filter((line) => line.includes('als rank='));
    expect(points.slice(0, 4).every((line) => /\d\.\d{4}/.test(line))).toBe(true);
    const errors = points.slice(0, 4).map((line) => Number(/\d\.\d{4}/.exec(line)?.[0]));
    expect(errors).toEqual([...errors].sort((a, b) => a - b));
    expect(points[0]).toContain('→');
    expect(points.slice(1, 4).join('')).not.toContain('→');
    const [{ search }] = await rows<{ search: number }>(
      'select max(search) as search from experiments.grid_searches',
    );
    expect(lines.at(-1)).toBe(`npm run pipeline -- nightly --candidate ${search} --profile small`);
  });

  test('asked again it is the same search, detached or followed, as JSON too', async () => {
    const before = await rows('select search from experiments.grid_searches');
    const detached = await pipeline(`${GRID} --no-wait --json`);
    expect(JSON.parse(detached.stdout)).toMatchObject({ run: 1, status: 'running' });
    const { code, stdout, stderr } = await pipeline(`${GRID} --json`);
    expect(code).toBe(0);
    expect(stderr).toContain('asked for before');
    const found = JSON.parse(stdout) as GridSearchResult & { points: { is_best: boolean; rmse: number }[] };
    expect(found.points.map(({ is_best }) => is_best)).toEqual([true, false, false, false]);
    expect(found.best.value).toBe(found.points[0].rmse);
    expect(await rows('select search from experiments.grid_searches')).toEqual(before);
  });

  test('Ctrl-C detaches from a search, which goes on', async () => {
    const line = 'grid-search --rank 7 --reg 0.1 --iterations 4';
    const release = await holdPoints();
    try {
      const { process: following, finished } = startScript(['pipeline', ...line.split(' ')], env());
      await expect.poll(waitingPoints, { timeout: 60_000, interval: 20 }).toBe(1);
      following.kill('SIGINT');
      const detached = await finished;
      expect(detached.stderr).toContain(
        'detached; the search goes on, and the same command with --run 1 follows it again',
      );
      expect(detached.code).toBe(1);
      expect(await waitingPoints()).toBe(1);
    } finally {
      await release();
    }
    expect(await pipeline(line)).toMatchObject({ code: 0 });
  });

  test('what only the database can tell is refused in one line too', async () => {
    const { code, stdout, stderr } = await pipeline('grid-search --run 99');
    expect(stderr).toBe('pipeline: --run 99: the snapshot of that run is not kept; kept are 1\n');
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('a best point that cannot challenge the champion comes with the reason', async () => {
    const { code, stdout } = await pipeline(
      'grid-search --family als-implicit --rank 3 --reg 0.1 --iterations 4 --metric ndcg@10',
    );
    expect(code).toBe(0);
    expect(stdout.trim().split('\n').at(-1)).toContain(
      "it cannot be tonight's candidate: --set challengers: als-implicit predicts no ratings",
    );
  });
});

describe('npm run pipeline -- nightly --candidate', () => {
  const set = SMALL.map((one) => `--set ${one}`).join(' ');
  const nightly = (line: string) => runScript(`pipeline nightly --profile small ${set} ${line}`, env());
  const challengersOf = async (asOf: string) => {
    const [row] = await rows<{ challengers: ModelConfiguration[] }>(
      `select settings -> 'challengers' as challengers from pipeline.runs where as_of = $1`,
      [asOf],
    );
    return row.challengers;
  };
  const searchOf = async (workflowId: string): Promise<number> =>
    (
      await rows<{ search: number }>('select search from experiments.grid_searches where workflow_id = $1', [
        workflowId,
      ])
    )[0].search;

  test('the best point joins the challengers and is measured beside them', async () => {
    const found = await (await start('for-tonight', { points: [point(2, 0.2)], metric: 'rmse' })).result();
    const asOf = '2026-02-02T00:00:00.000Z';
    const { code, stdout, stderr } = await nightly(`--as-of ${asOf} --candidate ${found.search} --json`);
    expect(code, stderr).toBe(0);
    const { run } = JSON.parse(stdout) as { run: number };
    expect(await challengersOf(asOf)).toEqual([...(await challengersOf('2026-02-01')), point(2, 0.2)]);
    const [twin] = await rows<{ rmse: number }>(
      'select rmse from experiments.evaluations where run = $1 and configuration = $2',
      [run, found.best.configuration],
    );
    // The source has not changed between the two nights.
    expect(twin.rmse).toBe(found.best.value);
  });

  test('one that is among them already adds nothing', async () => {
    const same: ModelConfiguration = point(3, 0.1);
    const found = await (await start('known', { points: [same], metric: 'rmse' })).result();
    const asOf = '2026-02-03T00:00:00.000Z';
    const { code, stderr } = await nightly(`--as-of ${asOf} --candidate ${found.search}`);
    expect(code, stderr).toBe(0);
    expect(await challengersOf(asOf)).toEqual(await challengersOf('2026-02-01'));
  });

  test('what cannot be one is refused in one line, and no night is started', async () => {
    const runs = await rows('select run from pipeline.runs');
    const implicit = { ...point(3, 0.1), family: 'als-implicit' as const, alpha: 1 };
    await (await start('implicit', { points: [implicit], metric: 'map@10' })).result();
    const best = await (await start('fifth', { points: [point(9, 0.1)], metric: 'rmse' })).result();
    const four = JSON.stringify([3, 4, 5, 6].map((rank) => point(rank, 0.1)));
    for (const [line, says] of [
      ['--candidate 9999', '--candidate 9999: there is no such grid search'],
      [`--candidate ${await searchOf('only-unusable')}`, 'that grid search found no usable model'],
      [`--candidate ${await searchOf('implicit')}`, 'als-implicit predicts no ratings'],
      [`--candidate ${best.search} --set challengers=${four}`, '--set challengers: '],
      ['--candidate best', "option '--candidate <search>' argument 'best' is invalid"],
    ]) {
      const { code, stdout, stderr } = await nightly(line);
      expect(stderr, line).toContain(says);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stdout).toBe('');
      expect(code, line).toBe(2);
    }
    expect(await rows('select run from pipeline.runs')).toEqual(runs);
  });

  test('a search whose snapshot is gone is shown again, and no other is made on it', async () => {
    // Its image has been brought up to date since.
    expect(await rows('select from silver.snapshots where image = 1 and run > 1 limit 1')).toHaveLength(1);
    const line = 'pipeline grid-search --run 1 --reg 0.1,0.3 --iterations 4 --rank';
    const again = await runScript(`${line} 3,6`, env());
    expect(again.stderr).toContain('asked for before');
    expect(again.stdout).toContain('best by rmse');
    expect(again.code).toBe(0);
    const other = await runScript(`${line} 3,7`, env());
    expect(other.stderr).toMatch(/^pipeline: --run 1: the snapshot of that run is not kept; kept are \d/);
    expect(other.code).toBe(2);
  });

  test('by default a search is on the newest run that came to its end', async () => {
    const [{ run }] = await rows<{ run: number }>('select max(run) as run from pipeline.runs');
    const found = await (await start('by-default', { points: [point(3, 0.1)], metric: 'mae' })).result();
    expect(found.run).toBe(run);
  });
});

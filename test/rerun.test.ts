import { setTimeout } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { WorkerOptions } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NIGHT_STAGES } from '../config/stages.ts';
import { DIGESTED_TABLES, type RunDigest, digestRun } from '../database/digest.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import { type NightProgress, type NightlyResult, PROGRESS_QUERY } from '../workflows/contracts.ts';
import type { abTest, rerunNight } from '../workflows/index.ts';
import { startScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

/** Activities that fail for good, and such that wait to be let go; by name, or name and what it works on. */
const broken = new Set<string>();
const held = new Set<string>();

const faults: WorkerOptions['interceptors'] = {
  activity: [
    ({ info }) => ({
      inbound: {
        execute: async (input, next) => {
          const { scope, configuration } = input.args[0] as {
            scope?: string;
            configuration?: { family: string };
          };
          const name = [info.activityType, scope ?? configuration?.family].filter(Boolean).join(' ');
          while (held.has(name)) await setTimeout(20);
          if (broken.has(name)) throw ApplicationFailure.nonRetryable(`${name} is broken`, 'Broken');
          return next(input);
        },
      },
    }),
  ],
};

const AS_OF = '2026-02-01T00:00:00.000Z';
const asOfOf = (day: number): string => new Date(Date.UTC(2026, 1, day)).toISOString();

async function startTest(): Promise<NightTest> {
  const night = await startNightTest({}, faults);
  await fillSource(night.database, 30, 20);
  return night;
}

async function runNight({ client }: NightTest, asOf: string, more: string[] = []): Promise<NightlyResult> {
  const handle = await startNight(client, { asOf, profile: 'small', overrides: [...SMALL, ...more] });
  return outcomeOf(handle, handle.result());
}

/** A night in which an activity is broken, that is mended right after. */
async function failIn(night: NightTest, activity: string, asOf = AS_OF): Promise<NightlyResult> {
  broken.add(activity);
  const outcome = await runNight(night, asOf);
  broken.delete(activity);
  expect(outcome, outcome.reason).toMatchObject({ status: 'failed', reason: `${activity} is broken` });
  return outcome;
}

let asked = 0;
async function rerun({ client }: NightTest, run: number, from: string): Promise<NightlyResult> {
  const handle = await client.workflow.start<typeof rerunNight>('rerunNight', {
    workflowId: `rerun-${++asked}`,
    taskQueue: 'nightjar',
    args: [{ run, from, actor: 'ada' }],
  });
  return outcomeOf(handle, handle.result());
}

/** Waits until a night is at work on a stage. */
const untilIn = (handle: WorkflowHandle, stage: string) =>
  expect
    .poll(async () => (await handle.query<NightProgress>(PROGRESS_QUERY)).stages.at(-1)?.stage, {
      timeout: 60_000,
    })
    .toBe(stage);

const pipeline = ({ database, address, namespace }: NightTest, ...args: string[]) =>
  startScript(['pipeline', ...args], {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
  }).finished;

async function rows<Row extends object>({ database }: NightTest, query: string): Promise<Row[]> {
  return (await database.pool.query<Row>(query)).rows;
}

/** What a run has come to, but for what people were told of on the way. */
async function tablesOf({ database }: NightTest, run: number): Promise<RunDigest['tables']> {
  const untold = DIGESTED_TABLES.filter(({ table }) => table !== 'pipeline.alerts');
  return (await digestRun(database.db, run, untold)).tables;
}

interface StageRow {
  stage: string;
  token: number;
  started_at: Date;
  finished_at: Date;
}
const stages = (night: NightTest) =>
  rows<StageRow>(
    night,
    `select stage, token, started_at, finished_at from pipeline.stages where status = 'done' and stage <> 'undo' order by stage`,
  );

let clean: RunDigest['tables'];
beforeAll(async () => {
  const night = await startTest();
  const { run } = await runNight(night, AS_OF);
  clean = await tablesOf(night, run);
  await night.close();
});

describe('a night that failed at its last gate, gone on with by command', () => {
  let night: NightTest;
  let before: StageRow[];
  beforeAll(async () => {
    night = await startTest();
    expect(await failIn(night, 'runGate publish')).toMatchObject({ run: 1, failed_stage: 'publish' });
    before = await stages(night);
  });
  afterAll(() => night.close());

  test('comes to what a clean night of its as-of comes to, with one log row and one champion', async () => {
    const args = ['--run', '1', '--from', 'publish-gate', '--actor', 'ada', '--json'];
    const { code, stdout, stderr } = await pipeline(night, 'rerun', ...args);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: 1,
      as_of: AS_OF,
      status: 'success',
      published: true,
      failed_stage: null,
      alerts: [],
    });
    expect(await tablesOf(night, 1)).toEqual(clean);
    expect(
      await rows(
        night,
        `select (select count(*) from pipeline.run_log) as logs, (select count(*) from pipeline.runs) as runs,
                (select count(*) from models.champions where retired_at is null) as champions,
                (select count(*) from models.promotions) as decisions,
                (select count(*) from serving.versions) as versions`,
      ),
    ).toEqual([{ logs: 1, runs: 1, champions: 1, decisions: 1, versions: 1 }]);
  });

  test('nothing of the stages before was done again', async () => {
    const now = await stages(night);
    // Asked again, each answers from the ledger: that is an attempt, which gets a token, and no work.
    const asked = before.map((stage) => ({ ...stage, token: stage.token + 1 }));
    expect(before.map(({ stage }) => stage)).toContain('recommendations');
    expect(now).toEqual(expect.arrayContaining(asked));
    expect(now.length).toBe(before.length + 3);
  });

  test('it is on record: what it had come to, from where it was gone on with, by whom', async () => {
    const [reopening] = await rows<{ outcome: object }>(night, 'select * from pipeline.reopenings');
    expect(reopening).toMatchObject({ run: 1, reopening: 1, from_stage: 'publish gate', actor: 'ada' });
    expect(reopening.outcome).toMatchObject({ status: 'failed', failed_stage: 'publish' });
    expect(await rows(night, 'select run, kind from pipeline.alerts')).toEqual([
      { run: 1, kind: 'run_failed' },
    ]);
    const { stdout } = await pipeline(night, 'status');
    expect(stdout).toMatch(/success .*; rerun from publish gate by ada at 20/);
    const { stdout: json } = await pipeline(night, 'status', '--json');
    expect(JSON.parse(json)).toMatchObject([
      { reopenings: [{ actor: 'ada', status: 'failed', reason: 'runGate publish is broken' }] },
    ]);
  });

  test('the next night runs, and drops nothing that is served', async () => {
    expect(await runNight(night, asOfOf(2))).toMatchObject({ run: 2, status: 'success', published: true });
  });
});

describe('from any stage', () => {
  let night: NightTest;
  beforeAll(async () => {
    night = await startTest();
    await failIn(night, 'publishVersion');
  });
  afterAll(() => night.close());

  // Those between differ by less.
  const reached = [
    'publish gate',
    'publish',
    'refit',
    'operator',
    'selection',
    'champion',
    'A/B test',
    'split',
    'silver gate',
    'bronze',
    'source gate',
  ] as const;

  test.each(reached)('%s: that and what comes after is done anew, and fails as it did', async (from) => {
    const before = await stages(night);
    broken.add('publishVersion');
    const outcome = await rerun(night, 1, from);
    broken.delete('publishVersion');
    // What is wrong is told once; whoever asks again sees it.
    expect(outcome).toMatchObject({ status: 'failed', reason: 'publishVersion is broken', alerts: [] });
    const now = await stages(night);
    expect(now.map(({ stage }) => stage)).toEqual(before.map(({ stage }) => stage));
    const anew = (row: StageRow) =>
      row.started_at > (before.find(({ stage }) => stage === row.stage)?.started_at ?? new Date());
    const ofStage: Record<string, string | undefined> = {
      'source gate': 'gate-source',
      silver: 'silver',
      features: 'user-features',
      'A/B test': 'compare-arms',
      refit: 'refit',
      publish: 'recommendations',
    };
    for (const [stage, row] of Object.entries(ofStage)) {
      const expected = NIGHT_STAGES.indexOf(stage as typeof from) >= NIGHT_STAGES.indexOf(from);
      expect(
        now.filter(anew).some((one) => one.stage === row),
        `${stage} anew`,
      ).toBe(expected);
    }
    expect(await rows(night, 'select kind from pipeline.alerts')).toEqual([{ kind: 'run_failed' }]);
    expect(await rows(night, 'select status from pipeline.run_log')).toEqual([{ status: 'failed' }]);
  });

  test('and in the end it comes to what a clean night comes to', async () => {
    expect(await rerun(night, 1, 'features')).toMatchObject({ status: 'success', published: true });
    expect(await tablesOf(night, 1)).toEqual(clean);
    expect(await rows(night, 'select count(*) as times from pipeline.reopenings')).toEqual([
      { times: reached.length + 1 },
    ]);
    const [log] = await rows<{ duration_seconds: number; lasted: number }>(
      night,
      `select l.duration_seconds, sum(s.seconds) as lasted from pipeline.run_log l,
         jsonb_to_recordset(l.stages) s (seconds float8) group by 1`,
    );
    // Of all the times that it was live, not only of the last.
    expect(log.duration_seconds).toBeGreaterThan(log.lasted);
  });
});

describe('a night that brought the snapshot up to date', () => {
  const change = ({ database }: NightTest) =>
    database.pool.query(`
      update movielens.ratings set rating = 1 where user_id = 3;
      delete from movielens.ratings where user_id = 5 and movie_id < 8;
      insert into movielens.ratings values (31, 2, 4, '2026-01-20 12:00:00'), (31, 5, 3.5, '2026-01-21 12:00:00')`);
  let night: NightTest;
  let expected: RunDigest['tables'];

  async function secondNight(): Promise<NightTest> {
    const test = await startTest();
    await runNight(test, asOfOf(1));
    await change(test);
    return test;
  }

  beforeAll(async () => {
    const undisturbed = await secondNight();
    const { run } = await runNight(undisturbed, asOfOf(2));
    expected = await tablesOf(undisturbed, run);
    await undisturbed.close();
    night = await secondNight();
    await failIn(night, 'splitHoldout', asOfOf(2));
    expect(await batch()).toEqual([{ follows: 1, image: 1 }]);
  });
  afterAll(() => night.close());

  const batch = () =>
    rows(
      night,
      `select b.follows, s.image from bronze.batches b join silver.snapshots s on s.run = b._batch_id
       where b._batch_id = (select max(run) from pipeline.runs)`,
    );

  test.each(['silver gate', 'silver', 'bronze gate', 'silver'])(
    'from %s: the same batch brings it to the same snapshot',
    async (from) => {
      broken.add('splitHoldout');
      const outcome = await rerun(night, 2, from);
      broken.delete('splitHoldout');
      expect(outcome).toMatchObject({ status: 'failed', reason: 'splitHoldout is broken' });
      expect(await batch()).toEqual([{ follows: 1, image: 1 }]);
    },
  );

  test('what the speed layer has found in it is not taken for what it is made anew', async () => {
    await night.database.pool.query(`
      insert into speed.passes (workflow_id, execution_id, as_of, base_run, model_run, settings, read_at, changed_users,
                                ratings, movies, finished_at)
      values ('pass', 'pass', now(), 2, 1, '{}', now(), 0, 0, 0, now());
      insert into speed.latest select true, pass, base_run, as_of, now() from speed.passes`);
    broken.add('splitHoldout');
    await rerun(night, 2, 'features');
    const since = () => rows(night, 'select recent_since is null as forgotten from speed.latest');
    expect(await since()).toEqual([{ forgotten: false }]);
    await rerun(night, 2, 'silver');
    broken.delete('splitHoldout');
    expect(await since()).toEqual([{ forgotten: true }]);
  });

  test('and in the end it comes to what an undisturbed one comes to', async () => {
    expect(await rerun(night, 2, 'split')).toMatchObject({ status: 'success', published: true });
    expect(await tablesOf(night, 2)).toEqual(expected);
  });

  test('from bronze the source is read as a whole: the image of before is no snapshot any more', async () => {
    await change(night);
    await failIn(night, 'splitHoldout', asOfOf(3));
    expect(await batch()).toEqual([{ follows: 2, image: 1 }]);
    expect(await rerun(night, 3, 'bronze')).toMatchObject({ status: 'success', published: true });
    expect(await batch()).toEqual([{ follows: null, image: 3 }]);
    // The night after it follows that.
    await runNight(night, asOfOf(4));
    expect(await batch()).toEqual([{ follows: 3, image: 3 }]);
  });

  test('before silver was built, what has changed is read again and nothing else', async () => {
    await change(night);
    await failIn(night, 'runGate bronze', asOfOf(5));
    expect(await rerun(night, 5, 'bronze')).toMatchObject({ status: 'success', published: true });
    expect(await batch()).toEqual([{ follows: 4, image: 3 }]);
  });

  test('what it would carry over is gone: refused, with the stage that does without', async () => {
    await failIn(night, 'splitHoldout', asOfOf(6));
    await night.database.pool.query('drop table gold.user_totals_run5');
    await expect(rerun(night, 6, 'silver')).rejects.toMatchObject({
      cause: {
        cause: {
          type: 'RerunRefused',
          message: expect.stringContaining(
            'what stage bronze left is gone (the snapshot of run 5, which it changes), and silver needs it; --from "bronze"',
          ) as string,
        },
      },
    });
    expect(await rerun(night, 6, 'bronze')).toMatchObject({ status: 'success', published: true });
  });
});

describe('what is not right', () => {
  let night: NightTest;
  beforeAll(async () => {
    night = await startTest();
    expect(await runNight(night, asOfOf(1))).toMatchObject({ run: 1, status: 'success' });
  });
  afterAll(() => night.close());

  /** Every row of the ledger and of what is served, and every table there is. */
  const standing = async () => [
    await rows(night, 'select * from pipeline.runs order by run'),
    await rows(night, 'select * from pipeline.run_log order by run'),
    await rows(night, 'select * from pipeline.stages order by run, stage'),
    await rows(night, 'select * from pipeline.reopenings'),
    await rows(night, 'select * from serving.pointer'),
    // Whoever delivers them is at it meanwhile.
    await rows(night, 'select alert_id, run, kind, message from pipeline.alerts'),
    await rows(night, `select relname from pg_class where relname ~ '_run[0-9]+$' order by 1`),
  ];

  async function refused(run: number, from: string, says: string): Promise<void> {
    const before = await standing();
    const { code, stdout, stderr } = await pipeline(night, 'rerun', '--run', String(run), '--from', from);
    const [line, ...more] = stderr.split('\n').filter((one) => !/^(in the Temporal UI|✗ begin)/.test(one));
    expect(line).toContain(says);
    expect(more).toEqual(['']);
    expect(stdout).toBe('');
    expect(code).toBe(2);
    expect(await standing()).toEqual(before);
  }

  test('a successful run', () => refused(1, 'silver', 'is published; nothing to rerun'));
  test('no such run', () => refused(77, 'silver', '--run 77: there is no such run'));
  test('no such stage', () => refused(1, 'gold', 'expected one of source gate, bronze,'));

  test('a stage before is not done', async () => {
    await failIn(night, 'refitModel', asOfOf(2));
    await refused(2, 'publish', 'stage refit is not done, and publish comes after it; --from "refit"');
  });

  test('it is live', async () => {
    held.add('refitModel');
    const handle = await night.client.workflow.start<typeof rerunNight>('rerunNight', {
      workflowId: 'live',
      taskQueue: 'nightjar',
      args: [{ run: 2, from: 'refit', actor: 'ada' }],
    });
    await untilIn(handle, 'refit');
    await refused(2, 'refit', 'it is live as workflow live; wait for its end, or cancel it');
    // Cancelled, it drops what it had made.
    await handle.cancel();
    held.delete('refitModel');
    await handle.result().catch(() => undefined);
    expect(await outcomeOf(handle, handle.result())).toMatchObject({ run: 2, status: 'cancelled' });
  });

  test('what the stages before made was dropped', () =>
    refused(
      2,
      'refit',
      'what stage bronze left is gone (bronze.ratings, bronze.movies, bronze.changed_users), and refit needs it',
    ));

  test('a newer run has begun since', async () => {
    await failIn(night, 'selectModel', asOfOf(3));
    await refused(2, 'bronze', `run 3 has begun since, and with it what run 2 had made was given up`);
    await refused(3, 'publish', 'stage selection is not done');
  });

  test('from the beginning a cancelled run can be gone on with, where it is the newest', async () => {
    held.add('splitHoldout');
    const handle = await startNight(night.client, {
      asOf: asOfOf(4),
      profile: 'small',
      overrides: SMALL,
    });
    await untilIn(handle, 'split');
    await handle.cancel();
    held.delete('splitHoldout');
    expect(await outcomeOf(handle, handle.result())).toMatchObject({ run: 4, status: 'cancelled' });
    expect(await rerun(night, 4, 'bronze')).toMatchObject({ run: 4, status: 'success', published: true });
  });

  test('published, and failed in its clean-up: only that is done again', async () => {
    const outcome = await failIn(night, 'retireVersions', asOfOf(5));
    expect(outcome).toMatchObject({ run: 5, published: true });
    await refused(5, 'publish', '--from "clean up", or take it back: npm run pipeline -- rollback');
    const published = () =>
      rows(
        night,
        `select started_at, finished_at from pipeline.stages where run = 5 and stage = 'publish'
         union all select published_at, changed_at from serving.versions, serving.pointer where run = 5`,
      );
    const before = await published();
    expect(await rerun(night, 5, 'clean up')).toMatchObject({ status: 'success', published: true });
    expect(await published()).toEqual(before);
  });

  test('the champion has changed since the decision: it is made anew', async () => {
    await failIn(night, 'refitModel', asOfOf(6));
    await night.database.pool.query(`
      update models.champions set configuration = 'als rank=9 iterations=4 reg=0.1 seed=42',
        parameters = parameters || '{"rank": 9}' where retired_at is null`);
    await refused(6, 'refit', 'the champion is als rank=9 iterations=4 reg=0.1 seed=42 by now');
    await refused(
      6,
      'selection',
      'stage champion is not done, and selection comes after it; --from "champion"',
    );
    expect(await rerun(night, 6, 'champion')).toMatchObject({ status: 'success', published: true });
    expect(
      await rows(
        night,
        `select stage from pipeline.stages where run = 6 and stage like 'evaluate als rank=9 %'`,
      ),
    ).toHaveLength(1);
  });
});

describe('a decision', () => {
  let night: NightTest;
  beforeAll(async () => {
    night = await startTest();
  });
  afterAll(() => night.close());

  const decisions = (run: number) =>
    rows(night, `select decision, actor, reopening from models.promotions where run = ${run} order by 3`);

  test('that blocked is made again, and both stay on record', async () => {
    expect(await runNight(night, asOfOf(1), ['alarm.rmseThreshold=0.1'])).toMatchObject({
      status: 'blocked',
    });
    const { code, stdout } = await pipeline(night, 'rerun', '--run', '1', '--from', 'selection');
    // Its settings are its own: the same threshold blocks it again. What clean-up has dropped it does not need for that.
    expect(stdout).toContain('blocked');
    expect(code).toBe(1);
    expect(await decisions(1)).toEqual([
      { decision: 'blocked', actor: 'nightly', reopening: 0 },
      { decision: 'blocked', actor: 'nightly', reopening: 1 },
    ]);
  });

  const ASK = ['alarm.rmseThreshold=0.1', 'alarm.policy=ask'];
  const say = (word: 'approve' | 'reject', run: number) =>
    expect
      .poll(async () => (await pipeline(night, word, '--run', String(run), '--reason', 'known')).code, {
        timeout: 60_000,
      })
      .toBe(0);

  test('that an operator took against it may be taken anew', async () => {
    const asking = runNight(night, asOfOf(2), ASK);
    await say('reject', 2);
    expect(await asking).toMatchObject({ run: 2, status: 'blocked' });
    const again = rerun(night, 2, 'operator');
    await say('approve', 2);
    expect(await again).toMatchObject({ run: 2, status: 'success', published: true });
    expect(await decisions(2)).toMatchObject([
      { decision: 'blocked', reopening: 0 },
      { decision: 'first', reopening: 1 },
    ]);
  });

  test('that an operator took stands for what comes after it', async () => {
    broken.add('refitModel');
    const failing = runNight(night, asOfOf(3), ASK);
    await say('approve', 3);
    expect(await failing).toMatchObject({ status: 'failed', failed_stage: 'refit' });
    broken.delete('refitModel');
    expect(await rerun(night, 3, 'refit')).toMatchObject({ status: 'success', published: true });
    expect(await decisions(3)).toMatchObject([{ reopening: 1 }]);
  });
});

test('an ad-hoc A/B test on its snapshot may measure first what the run measures when it goes on', async () => {
  const night = await startTest();
  try {
    await failIn(night, 'evaluateTwin popular');
    const arm = (rank: number) => ({
      family: 'als' as const,
      rank,
      iterations: 4,
      regularization: 0.1,
      seed: 42,
    });
    await night.client.workflow.execute<typeof abTest>('abTest', {
      workflowId: 'ad-hoc',
      taskQueue: 'nightjar',
      args: [{ adHoc: true, arms: [arm(3), arm(7)], metric: 'rmse', run: 1 }],
    });
    expect(await rerun(night, 1, 'baseline')).toMatchObject({ status: 'success' });
    const { 'experiments.ab_test_results': own, ...tables } = await tablesOf(night, 1);
    const { 'experiments.ab_test_results': expected, ...others } = clean;
    expect(tables).toEqual(others);
    expect(own.rows).toBe(expected.rows);
  } finally {
    await night.close();
  }
});

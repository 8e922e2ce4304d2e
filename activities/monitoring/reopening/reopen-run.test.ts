import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { callActivity, closeRun, insertRun } from '../../../test/support/runs.ts';
import { type TestDatabase, createTestDatabase } from '../../../test/support/database.ts';
import { fillSource } from '../../../test/support/source.ts';
import { SMALL, type Stages, createStages, makeSnapshot } from '../../../test/support/stages.ts';
import { runStage } from '../../support/stage.ts';
import { closeRun as endRun } from '../close-run.ts';
import type { OwnTemporal } from '../own-temporal.ts';
import { type ReopenRunInput, reopenRun } from './reopen-run.ts';

let database: TestDatabase;
let stages: Stages;
let run: number;
let day = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  stages = createStages(database);
  await fillSource(database, 10, 10);
});
afterAll(() => database.drop());
afterEach(() => closeRun(database, run, 'failed'));
beforeEach(async () => {
  run = await insertRun(database, {
    asOf: new Date(Date.UTC(2026, 1, ++day)).toISOString(),
    overrides: SMALL,
  });
});

const temporal = (open: string[] = []): OwnTemporal => ({
  namespaceId: () => Promise.resolve('test'),
  isOpen: ({ workflowId }) => Promise.resolve(open.includes(workflowId)),
});

/** By the workflow that `callActivity` works for, unless it is another's. */
const reopen = (from: string, given: Partial<ReopenRunInput> = {}, open: string[] = []) =>
  reopenRun(database, temporal(open), 'new code', {
    run,
    from,
    actor: 'ada',
    workflowId: 'test',
    executionId: 'rerun',
    ...given,
  });

const fail = (workflowId?: string) =>
  endRun(
    database,
    run,
    { status: 'failed', type: 'GateFailed', failedStage: 'bronze gate', reason: 'dirty' },
    workflowId,
  );

const ledger = () =>
  database.db.selectFrom('pipeline.runs').selectAll().where('run', '=', run).executeTakeFirstOrThrow();

/** Bronze, its gate, and no further. */
async function failAtBronzeGate(): Promise<void> {
  await stages.runGate({ run, scope: 'source' });
  await stages.ingestBronze({ run });
  await fail();
}

describe('who is still at work for the run as it was', () => {
  test('an attempt at a stage that is done anew cannot write, though its run is live again', async () => {
    await stages.runGate({ run, scope: 'source' });
    const late = callActivity(
      () =>
        runStage(
          database,
          { run, stage: 'bronze', signal: new AbortController().signal },
          async (attempt) => {
            await fail();
            await reopen('bronze');
            return attempt.finish(() => Promise.resolve({ rows: 1 }));
          },
        ),
      {},
    );
    await expect(late).rejects.toMatchObject({ type: 'StageSuperseded' });
    await stages.dropUndone({ run });
    expect((await stages.ingestBronze({ run })).rows).toBeGreaterThan(0);
  });

  test('a workflow whose run was re-opened gets no stage of it, and cannot end it', async () => {
    await failAtBronzeGate();
    await reopen('bronze gate', { workflowId: 'another' });
    await expect(stages.runGate({ run, scope: 'bronze' })).rejects.toMatchObject({
      type: 'RunNotLive',
      message: expect.stringContaining('the run was re-opened and is workflow another now') as string,
    });
    await stages.failRun({ run, status: 'cancelled', type: 'Cancelled', failedStage: null, reason: 'late' });
    expect(await ledger()).toMatchObject({ status: 'running', workflow_id: 'another' });
    expect(await fail('another')).toMatchObject({ status: 'failed', reason: 'dirty' });
  });

  test('its workflow is still ending: refused for the moment', async () => {
    await failAtBronzeGate();
    await expect(reopen('bronze', {}, ['test'])).rejects.toMatchObject({
      type: 'RerunRefused',
      message: expect.stringContaining('its workflow test is still ending') as string,
    });
    expect(await ledger()).toMatchObject({ status: 'failed' });
  });

  test('it is live and its workflow is closed: it was lost, is ended so, and gone on with', async () => {
    await stages.runGate({ run, scope: 'source' });
    await stages.ingestBronze({ run });
    expect(await reopen('bronze gate')).toMatchObject({ run, known: null });
    const [{ outcome }] = await reopenings();
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('terminated') as string,
    });
  });
});

const reopenings = () =>
  database.db.selectFrom('pipeline.reopenings').selectAll().where('run', '=', run).execute();

describe('asking twice', () => {
  test('a lost completion finds that it is re-opened; after its end it is not opened once more', async () => {
    await failAtBronzeGate();
    const first = await reopen('bronze');
    expect(await reopen('bronze')).toEqual(first);
    expect(await reopenings()).toHaveLength(1);
    await fail();
    await expect(reopen('bronze')).rejects.toMatchObject({ type: 'RerunRefused' });
    expect(await ledger()).toMatchObject({ status: 'failed' });
  });

  test('of two at the same moment one re-opens it, and the other is told that it is live', async () => {
    await failAtBronzeGate();
    const asked = await Promise.allSettled(
      ['one', 'two'].map((id) => reopen('bronze', { workflowId: id, executionId: id }, ['one', 'two'])),
    );
    expect(asked.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(asked.find((one) => one.status === 'rejected')).toMatchObject({
      reason: { type: 'RerunRefused', message: expect.stringContaining('it is live as workflow') as string },
    });
    expect(await reopenings()).toHaveLength(1);
  });
});

test('it is the new code, the old settings; the clock of its gates moves only where the source is read anew', async () => {
  await failAtBronzeGate();
  const before = await ledger();
  await reopen('bronze gate', { executionId: 'first' });
  const again = await ledger();
  expect(again).toMatchObject({
    ...before,
    status: 'running',
    finished_at: null,
    execution_id: 'first',
    code_version: 'new code',
    live_since: expect.any(Date) as Date,
  });
  await fail();
  await reopen('bronze', { executionId: 'second' });
  expect((await ledger()).started_at.getTime()).toBeGreaterThan(before.started_at.getTime());
  expect(await reopenings()).toMatchObject([
    { reopening: 1, from_stage: 'bronze gate', code_version: 'test' },
    { reopening: 2, from_stage: 'bronze', code_version: 'new code' },
  ]);
});

test('a reader who holds on to a table that is to be made anew: it is waited for', async () => {
  await stages.runGate({ run, scope: 'source' });
  await makeSnapshot(stages, run);
  await stages.runGate({ run, scope: 'bronze' });
  await fail();
  await reopen('silver');
  const reader = await database.pool.connect();
  try {
    await reader.query('begin');
    await reader.query('select count(*) from silver.ratings');
    await expect(stages.dropUndone({ run })).rejects.toMatchObject({
      type: 'ReaderHoldsOn',
      nonRetryable: false,
    });
  } finally {
    await reader.query('rollback');
    reader.release();
  }
  // Of the snapshot: ratings with their part, movies, the refused, the superseded and two tables of totals. One was
  // detached by half.
  expect(await stages.dropUndone({ run })).toEqual({ rows: 7 });
  expect((await stages.buildSilver({ run })).rows).toBeGreaterThan(0);
});

test('whoever was dropping what was undone, and was given up for dead, drops nothing of what is made anew', async () => {
  await failAtBronzeGate();
  await reopen('bronze');
  const late = callActivity(
    () =>
      runStage(database, { run, stage: 'undo', signal: new AbortController().signal }, async (attempt) => {
        await stages.dropUndone({ run });
        await attempt.write(() => Promise.resolve());
        return { rows: 0 };
      }),
    {},
  );
  await expect(late).rejects.toMatchObject({ type: 'StageSuperseded' });
});

test.each([
  ['gold', '--from gold: there is no such stage; expected one of source gate, bronze'],
  ['', '--from : there is no such stage'],
])('from %j: refused', async (from, says) => {
  await closeRun(database, run, 'failed');
  await expect(reopen(from)).rejects.toMatchObject({
    type: 'InvalidRequest',
    message: expect.stringContaining(says) as string,
  });
});

test('a silver gate that is done anew counts anew', async () => {
  await stages.runGate({ run, scope: 'source' });
  await stages.ingestBronze({ run });
  await stages.runGate({ run, scope: 'bronze' });
  await stages.buildSilver({ run });
  await stages.runGate({ run, scope: 'silver' });
  const counted = () =>
    database.db.selectFrom('silver.snapshots').select('rating_counts').where('run', '=', run).execute();
  const before = await counted();
  await database.pool.query(`update silver.snapshots set rating_counts = '{"4": 1}' where run = $1`, [run]);
  await fail();
  await reopen('silver gate');
  await stages.runGate({ run, scope: 'silver' });
  expect(await counted()).toEqual(before);
});

import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../config/settings.ts';
import { startNight } from '../scripts/support/start-night.ts';
import type { nightlyPipeline } from '../workflows/index.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 20);
});
afterAll(() => night.close());

let started = 0;
/** A night under a workflow id of its own, as two people or a person and a schedule would start it. */
function start(asOf: string, overrides: string[] = []): Promise<WorkflowHandle<typeof nightlyPipeline>> {
  return night.client.workflow.start<typeof nightlyPipeline>('nightlyPipeline', {
    workflowId: `one-of-several-${++started}`,
    taskQueue: 'nightjar',
    args: [{ asOf, profile: 'small', overrides: [...SMALL, ...overrides] }],
  });
}

async function logged(asOf: string) {
  const { rows } = await night.database.pool.query(
    'select run, status, published from pipeline.run_log where as_of = $1',
    [asOf],
  );
  return rows as unknown[];
}

async function failureOf(handle: WorkflowHandle): Promise<string> {
  const failure: unknown = await handle.result().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  const { cause } = failure as WorkflowFailedError;
  return cause?.cause instanceof Error ? cause.cause.message : '';
}

test('four starts of one as-of at the same moment are one run', async () => {
  const asOf = '2026-02-01T00:00:00.000Z';
  const handles = await Promise.all(Array.from({ length: 4 }, () => start(asOf)));
  const outcomes = await Promise.all(handles.map((handle) => handle.result()));
  expect(new Set(outcomes.map(({ run }) => run)).size).toBe(1);
  // One of them did it; the others were told of the live run, or of its success.
  expect(outcomes.filter(({ status }) => status === 'success').length).toBeGreaterThan(0);
  for (const { status } of outcomes) expect(['running', 'success']).toContain(status);
  const [{ run }] = outcomes;
  await expect.poll(() => logged(asOf)).toEqual([{ run, status: 'success', published: true }]);
});

test('starts of several as-ofs at the same moment run one after another, and the newest ends up published', async () => {
  const days = ['2026-02-03', '2026-02-02', '2026-02-04'].map((day) => `${day}T00:00:00.000Z`);
  const handles = await Promise.all(days.map((asOf) => start(asOf)));
  const outcomes = await Promise.all(handles.map((handle) => handle.result()));
  expect(outcomes.map(({ status }) => status)).toEqual(['success', 'success', 'success']);
  for (const asOf of days) expect(await logged(asOf)).toHaveLength(1);
  const pointer = await night.database.db.selectFrom('serving.pointer').select('as_of').executeTakeFirst();
  expect(pointer?.as_of.toISOString()).toBe('2026-02-04T00:00:00.000Z');
});

test('another configuration for an as-of that is live, or finished, is refused', async () => {
  const asOf = '2026-02-05T00:00:00.000Z';
  const request = { asOf, profile: 'small', overrides: SMALL };
  const first = await startNight(night.client, request);
  const live = 'select from pipeline.runs where as_of = $1';
  await expect
    .poll(async () => (await night.database.pool.query(live, [asOf])).rowCount, { interval: 5 })
    .toBe(1);
  const other = await start(asOf, ['similar.perMovie=3']);
  await expect(
    startNight(night.client, { ...request, overrides: [...SMALL, 'similar.perMovie=3'] }),
  ).rejects.toThrow(UsageError);
  expect(await failureOf(other)).toContain('is being run by run');
  // Taken hold of, not started again.
  expect((await startNight(night.client, request)).firstExecutionRunId).toBe(first.firstExecutionRunId);
  const outcome = await first.result();

  expect(await failureOf(await start(asOf, ['similar.perMovie=3']))).toContain('was finished by run');
  expect(await (await start(asOf)).result()).toEqual(outcome);
  expect(await logged(asOf)).toHaveLength(1);
});

test('after a failure the as-of may be run again, with other settings too', async () => {
  const asOf = '2026-02-06T00:00:00.000Z';
  expect(await failureOf(await start(asOf, ['quality.minimumRatings=1000000']))).toContain('source gate');
  expect(await (await start(asOf, ['similar.perMovie=3'])).result()).toMatchObject({ status: 'success' });
  expect(await logged(asOf)).toMatchObject([{ status: 'failed' }, { status: 'success' }]);
});

test('a night whose workflow was terminated is closed by the next one, which clears what it left', async () => {
  const lost = await start('2026-02-07T00:00:00.000Z');
  const { pool } = night.database;
  const left = async (): Promise<number> => {
    const { rowCount } = await pool.query(`
      select from pg_class, pipeline.runs where as_of = '2026-02-07' and relname ~ ('_run' || run || '$')`);
    return rowCount ?? 0;
  };
  await expect.poll(left, { timeout: 30_000, interval: 5 }).toBeGreaterThan(5);
  await lost.terminate('by an operator');
  const next = await (await start('2026-02-08T00:00:00.000Z')).result();
  expect(next).toMatchObject({ status: 'success', published: true });
  expect(await left()).toBe(0);
  const [row] = (await logged('2026-02-07T00:00:00.000Z')) as { status: string }[];
  expect(row).toMatchObject({ status: 'failed', published: false });
  const { rows } = await night.database.pool.query(`
    select kind, message from pipeline.alerts join pipeline.runs using (run) where as_of = '2026-02-07'`);
  expect(rows).toEqual([{ kind: 'run_failed', message: expect.stringContaining('terminated') as string }]);
});

// To the start, while a stage of its own or one of a child's is under way.
test.each(['silver', 'user-features', 'refit', 'similar-movies'])(
  'a night that is reset in %s goes on as the same run',
  async (stage) => {
    const asOf = new Date(Date.UTC(2026, 2, ++resets)).toISOString();
    const handle = await start(asOf);
    await expect
      .poll(
        async () =>
          (
            await night.database.pool.query(
              'select from pipeline.stages join pipeline.runs using (run) where as_of = $1 and stage = $2',
              [asOf, stage],
            )
          ).rowCount,
        { timeout: 30_000, interval: 2 },
      )
      .toBe(1);
    await night.client.workflowService.resetWorkflowExecution({
      namespace: night.namespace,
      workflowExecution: { workflowId: handle.workflowId },
      // The first workflow task: everything is asked for again.
      workflowTaskFinishEventId: 4 as never,
      requestId: randomUUID(),
      reason: 'a test',
    });
    const again = night.client.workflow.getHandle<typeof nightlyPipeline>(handle.workflowId);
    expect(await again.result()).toMatchObject({ as_of: asOf, status: 'success', published: true });
    expect(await logged(asOf)).toHaveLength(1);
  },
);
let resets = 0;

import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNight } from '../scripts/support/start-night.ts';
import type { WatchdogRequest } from '../workflows/contracts.ts';
import type { watchdog } from '../workflows/index.ts';
import { type WebhookReceiver, startWebhookReceiver } from './support/receivers.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let receiver: WebhookReceiver;
let night: NightTest;
beforeAll(async () => {
  receiver = await startWebhookReceiver();
  night = await startNightTest({
    NIGHTJAR_ALERT_WEBHOOK_URL: `http://127.0.0.1:${receiver.port}/`,
  });
  await fillSource(night.database, 30, 20);
});
afterAll(async () => {
  await night.close();
  await receiver.close();
});

const look = (request: Partial<WatchdogRequest> = {}) =>
  night.client.workflow.execute<typeof watchdog>('watchdog', {
    workflowId: `watchdog-${randomUUID()}`,
    taskQueue: 'nightjar',
    args: [{ schedules: [], graceMinutes: 0, days: 1, ...request }],
  });

async function alerts(): Promise<string[]> {
  const { rows } = await night.database.pool.query<{ alert: string }>(
    `select kind || ' ' || coalesce(about, 'run ' || run) as alert from pipeline.alerts order by alert_id`,
  );
  return rows.map(({ alert }) => alert);
}

/** Alerts that arrived, by kind. */
const arrived = () =>
  receiver.accepted.map(({ body }) => (JSON.parse(body) as { alert: { kind: string } }).alert.kind);

async function failureOf(handle: WorkflowHandle): Promise<unknown> {
  return handle.result().then(
    () => null,
    (error: unknown) => error,
  );
}

test('a run whose workflow was terminated gets its row in the log, and one alert that arrives', async () => {
  const asOf = '2026-02-01T00:00:00.000Z';
  const lost = await startNight(night.client, { asOf, profile: 'small', overrides: SMALL });
  const live = async () =>
    (await night.database.pool.query(`select from pipeline.stages where stage <> 'source gate'`)).rowCount;
  await expect.poll(live, { timeout: 30_000, interval: 20 }).toBeGreaterThan(1);
  expect(await look()).toMatchObject({ lostRuns: 0 });
  await lost.terminate('by an operator');
  expect(await look()).toMatchObject({ lostRuns: 1 });
  expect(await look()).toMatchObject({ lostRuns: 0 });
  const { rows } = await night.database.pool.query('select status, reason from pipeline.run_log');
  expect(rows).toEqual([
    { status: 'failed', reason: expect.stringContaining('terminated or timed out') as string },
  ]);
  expect(await alerts()).toEqual(['run_failed run 1']);
  await expect.poll(arrived).toEqual(['run_failed']);
});

test('a night that the schedule began and nobody served is missed, once; none while it is paused', async () => {
  const id = 'nightjar-unserved';
  // Nobody polls that queue: its nights come to no row, and are closed by their timeout.
  await night.client.schedule.create({
    scheduleId: id,
    spec: { intervals: [{ every: '4s' }] },
    action: {
      type: 'startWorkflow',
      workflowType: 'nightlyPipeline',
      taskQueue: 'nobody',
      args: [{ profile: 'small' }],
      workflowExecutionTimeout: '1s',
    },
    policies: { overlap: 'ALLOW_ALL' },
  });
  const handle = night.client.schedule.getHandle(id);
  const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000));
  const found = async () => (await alerts()).filter((alert) => alert.startsWith(`schedule_missed ${id}`));

  await seconds(11);
  await handle.pause('enough');
  await seconds(2);
  await handle.unpause('to look');
  await look({ schedules: [id] });
  const missed = await found();
  expect(missed.length).toBeGreaterThanOrEqual(2);
  expect(new Set(missed).size).toBe(missed.length);

  await handle.pause('the source is being rebuilt');
  await look({ schedules: [id] });
  const before = await found();
  await seconds(9);
  await look({ schedules: [id] });
  await handle.unpause('rebuilt');
  await look({ schedules: [id] });
  expect((await found()).length - before.length).toBeLessThanOrEqual(1);
  await handle.delete();
  await expect
    .poll(() => arrived().filter((kind) => kind === 'schedule_missed').length)
    .toBe((await found()).length);
});

test('a delivery whose workflow was terminated is taken up again', async () => {
  receiver.next = ['hang'];
  await night.database.pool.query(
    `insert into pipeline.alerts (kind, about, message) values ('run_failed', 'as-of lost delivery', 'lost')`,
  );
  const before = arrived().length;
  await look();
  const open = async () => {
    const query = `WorkflowType = 'deliverAlerts' and ExecutionStatus = 'Running'`;
    for await (const { workflowId } of night.client.workflow.list({ query })) return workflowId;
    return null;
  };
  await expect.poll(() => receiver.requests.length).toBeGreaterThan(before);
  await expect.poll(open).not.toBeNull();
  await night.client.workflow.getHandle((await open()) ?? '').terminate('by an operator');
  expect(arrived()).toHaveLength(before);
  await expect.poll(async () => (await look()).revivedDeliveries).toBe(1);
  await expect.poll(() => arrived().length).toBe(before + 1);
});

test('a night that fails before it has a run leaves an alert where a schedule began it, none where a person did', async () => {
  const wrong = { profile: 'small', overrides: ['quality.minimumRatings=-1'] };
  const byHand = await night.client.workflow.start('nightlyPipeline', {
    workflowId: 'by-hand',
    taskQueue: 'nightjar',
    args: [{ ...wrong, asOf: '2026-02-03T00:00:00.000Z' }],
  });
  expect(await failureOf(byHand)).not.toBeNull();
  const before = await alerts();
  expect(before.filter((alert) => alert.includes('as-of 2026-02-03'))).toEqual([]);

  await night.client.schedule.create({
    scheduleId: 'nightjar-wrong',
    spec: { calendars: [{ hour: 2 }] },
    action: { type: 'startWorkflow', workflowType: 'nightlyPipeline', taskQueue: 'nightjar', args: [wrong] },
  });
  const handle = night.client.schedule.getHandle('nightjar-wrong');
  const day = { start: new Date('2026-02-04T00:00:00Z'), end: new Date('2026-02-04T23:00:00Z') };
  await handle.backfill({ ...day, overlap: 'ALLOW_ALL' });
  await handle.backfill({ ...day, overlap: 'ALLOW_ALL' });
  await expect
    .poll(async () => (await alerts()).slice(before.length), { timeout: 20_000 })
    .toEqual(['run_failed as-of 2026-02-04T02:00:00.000Z']);
  await expect.poll(() => receiver.accepted.at(-1)?.body).toContain('quality.minimumRatings');
  await handle.delete();
});

test('a model worse than the one of the run before by more than the margin rings once', async () => {
  const run = async (asOf: string, overrides: string[]) =>
    (await startNight(night.client, { asOf, profile: 'small', overrides })).result();
  const good = await run('2026-02-10T00:00:00.000Z', SMALL);
  expect(good.alerts).toEqual([]);
  // Shrunk to nothing: it predicts next to zero.
  const worse = `challengers=${JSON.stringify([3, 4].map((rank) => ({ family: 'als', rank, iterations: 1, regularization: 1e6, seed: 1 })))}`;
  const unchanged = await run('2026-02-11T00:00:00.000Z', SMALL);
  expect(unchanged.alerts).toEqual([]);
  await night.database.pool.query('update models.champions set retired_at = now()');
  const bad = await run('2026-02-12T00:00:00.000Z', [...SMALL.slice(0, -1), worse]);
  expect(bad.alerts).toEqual(['rmse_regression']);
  const { rows } = await night.database.pool.query('select message from pipeline.alerts where run = $1', [
    bad.run,
  ]);
  expect(rows).toEqual([
    { message: expect.stringContaining(`of run ${unchanged.run}; the margin is 0.01`) as string },
  ]);
});

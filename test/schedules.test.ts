import { ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeclaredSchedule } from '../config/schedules.ts';
import {
  applySchedule,
  compareSchedule,
  describeSchedule,
  orphanedSchedules,
} from '../temporal/schedules.ts';
import { runScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 20);
});
afterAll(() => night.close());

const daily: DeclaredSchedule = {
  id: 'nightjar-trial',
  at: { hour: 2, minute: 0 },
  timezone: 'UTC',
  jitterSeconds: 0,
  catchupHours: 12,
  pauseOnFailure: false,
  workflow: 'nightlyPipeline',
  request: { profile: 'small', overrides: SMALL },
};

const handleOf = (id: string) => night.client.schedule.getHandle(id);

describe('reconciling', () => {
  test('applied twice, nothing changes the second time', async () => {
    const created = await applySchedule(night.client, daily);
    expect(new Set(created.map(({ found }) => found))).toEqual(new Set([null]));
    const before = await describeSchedule(night.client, daily.id);
    expect(await applySchedule(night.client, daily)).toEqual([]);
    expect((await describeSchedule(night.client, daily.id))?.info).toEqual(before?.info);
  });

  test('after an edit of the declaration exactly what was edited is told, and a pause stays', async () => {
    await handleOf(daily.id).pause('the source is being rebuilt');
    const edited: DeclaredSchedule = { ...daily, at: { hour: 4, minute: 30 }, catchupHours: 6 };
    const differences = [
      { property: 'time', found: 'daily at 2:00', declared: 'daily at 4:30' },
      { property: 'catch-up window', found: '12 h', declared: '6 h' },
    ];
    expect(await compareSchedule(night.client, edited)).toEqual(differences);
    expect(await applySchedule(night.client, edited)).toEqual(differences);
    expect(await compareSchedule(night.client, edited)).toEqual([]);
    const description = await describeSchedule(night.client, daily.id);
    expect(description?.state).toMatchObject({ paused: true, note: 'the source is being rebuilt' });
  });

  test('what a person changed on the server is told and undone', async () => {
    await applySchedule(night.client, daily);
    await handleOf(daily.id).update((previous) => ({
      ...previous,
      spec: {
        ...previous.spec,
        calendars: [{ hour: 2, dayOfWeek: 'MONDAY' }],
        endAt: new Date('2030-01-01'),
      },
      policies: { ...previous.policies, overlap: ScheduleOverlapPolicy.ALLOW_ALL },
    }));
    const found = await compareSchedule(night.client, daily);
    expect(found.map(({ property }) => property)).toEqual(['time', 'until', 'overlap']);
    expect(found[0].found).toContain('MONDAY');
    await applySchedule(night.client, daily);
    expect(await compareSchedule(night.client, daily)).toEqual([]);
  });

  test('a schedule that nothing declares is an orphan', async () => {
    expect(await orphanedSchedules(night.client, [daily])).toEqual([]);
    expect(await orphanedSchedules(night.client, [])).toEqual([daily.id]);
  });

  test('a local time at which clocks change is refused', async () => {
    const unsafe = { ...daily, timezone: 'Europe/Warsaw' };
    await expect(applySchedule(night.client, unsafe)).rejects.toThrow('clocks change');
    expect(await compareSchedule(night.client, { ...unsafe, at: { hour: 4, minute: 0 } })).not.toEqual([]);
  });

  test('the command applies what is declared, says what differs, and keeps a pause', async () => {
    const env = {
      DATABASE_URL: night.database.url,
      TEMPORAL_ADDRESS: night.address,
      TEMPORAL_NAMESPACE: night.namespace,
    };
    await handleOf(daily.id).delete();
    const run = (line: string) => runScript(`schedule ${line}`, env);
    expect((await run('apply --check')).code).toBe(1);
    const applied = await run('apply');
    expect(applied.stdout).toContain('nightjar-nightly: time daily at 2:00');
    expect(applied.code).toBe(0);
    expect((await run('apply')).stdout).toBe('nothing differs\n');
    expect(await run('pause --note rebuild')).toMatchObject({ code: 0 });
    expect(await run('apply --check')).toMatchObject({ code: 0, stdout: 'nothing differs\n' });
    expect(JSON.parse((await run('show --json')).stdout)).toMatchObject([
      { id: 'nightjar-nightly', paused: true, note: 'rebuild' },
      { id: 'nightjar-speed', paused: false },
      { id: 'nightjar-watchdog', paused: false },
    ]);
    expect(await run('resume')).toMatchObject({ code: 0 });
    const none = await run('backfill --from 2026-10-01T03:00:00Z --to 2026-10-01T04:00:00Z');
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('no night of') as string });
    const many = await run('backfill --from 2001-10-01 --to 2026-10-01');
    expect(many).toMatchObject({ code: 2, stderr: expect.stringContaining('expected 92 at most') as string });
    expect(await run('remove --id nightjar-watchdog')).toMatchObject({ code: 0 });
    expect(await run('remove --id nightjar-speed')).toMatchObject({ code: 0 });
    expect(await run('remove --id nightjar-nightly')).toMatchObject({ code: 0 });
    const gone = await run('trigger');
    expect(gone.code).toBe(2);
    expect(gone.stderr).toContain('--id nightjar-nightly: there is no such schedule');
  });
});

interface LoggedRun {
  as_of: Date;
  status: string;
  published: boolean;
}

const logged = async (): Promise<LoggedRun[]> =>
  night.database.db
    .selectFrom('pipeline.run_log')
    .select(['as_of', 'status', 'published'])
    .orderBy('run')
    .execute();

/** Workflows that a schedule has started and that have ended. */
async function ended(id: string): Promise<number> {
  const { count } = await night.client.workflow.count(
    `TemporalScheduledById = '${id}' and ExecutionStatus != 'Running' and WorkflowType = 'nightlyPipeline'`,
  );
  return count;
}

test('three days are backfilled in any order and twice: one row a day, nothing older published', async () => {
  const backfilled = { ...daily, id: 'nightjar-backfilled' };
  await applySchedule(night.client, backfilled);
  const handle = handleOf(backfilled.id);
  await handle.pause('only by hand');
  const days = ['2026-10-21', '2026-10-20', '2026-10-22'];
  let starts = 0;
  for (const day of [...days, ...days]) {
    await handle.backfill({
      start: new Date(`${day}T00:00:00Z`),
      end: new Date(`${day}T23:00:00Z`),
      overlap: ScheduleOverlapPolicy.BUFFER_ALL,
    });
    starts++;
    await expect.poll(() => ended(backfilled.id), { timeout: 90_000, interval: 300 }).toBe(starts);
  }
  expect((await logged()).map((row) => ({ ...row, as_of: row.as_of.toISOString() }))).toEqual([
    { as_of: '2026-10-21T02:00:00.000Z', status: 'success', published: true },
    { as_of: '2026-10-20T02:00:00.000Z', status: 'success', published: false },
    { as_of: '2026-10-22T02:00:00.000Z', status: 'success', published: true },
  ]);
  const { as_of } = await night.database.db
    .selectFrom('serving.pointer')
    .select('as_of')
    .executeTakeFirstOrThrow();
  expect(as_of.toISOString()).toBe('2026-10-22T02:00:00.000Z');
  await handle.delete();
}, 300_000);

test('a schedule of one minute fires at the minute, not while it is paused, and again when it is resumed', async () => {
  const minutely: DeclaredSchedule = { ...daily, id: 'nightjar-minutely', at: { everyMinutes: 1 } };
  const before = (await logged()).length;
  await applySchedule(night.client, minutely);
  const handle = handleOf(minutely.id);
  const runs = async () => (await logged()).slice(before);
  await expect.poll(async () => (await runs()).length, { timeout: 90_000, interval: 300 }).toBe(1);
  await handle.pause('a look at it');
  // The minute that would have come next goes by.
  const [fired] = await runs();
  const resumeAt = fired.as_of.getTime() + 75_000;
  await new Promise((resolve) => setTimeout(resolve, resumeAt - Date.now()));
  expect(await runs()).toHaveLength(1);
  await handle.unpause('seen');
  await expect.poll(async () => (await runs()).length, { timeout: 90_000, interval: 300 }).toBe(2);
  await handle.delete();
  const minutes = (await runs()).map(({ as_of }) => as_of);
  // The nominal time is the as-of: the full minute, whenever the worker came to it.
  for (const minute of minutes) expect(minute.getTime() % 60_000).toBe(0);
  expect(minutes[1].getTime() - minutes[0].getTime()).toBeGreaterThan(60_000);
  expect(await runs()).toMatchObject([{ status: 'success' }, { status: 'success' }]);
}, 400_000);

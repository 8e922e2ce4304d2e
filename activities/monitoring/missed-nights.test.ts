import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { aboutNight, raiseAlert } from './alerts.ts';
import { findMissedNights } from './missed-nights.ts';
import type { WatchedSchedule } from './own-temporal.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() =>
  database.pool.query('truncate pipeline.runs, pipeline.alerts, pipeline.schedule_watch cascade'),
);

const DAY = 86_400_000;
const at = (day: number, time = '02:00') => new Date(`2026-03-${String(day).padStart(2, '0')}T${time}:00Z`);

/** Nights at 02:00, declared for years. */
const nightly: WatchedSchedule = {
  paused: false,
  since: at(1, '00:00'),
  jitterMilliseconds: 0,
  times: (from, to) => {
    const first = Math.ceil((from.getTime() - at(1).getTime()) / DAY);
    const last = Math.floor((to.getTime() - at(1).getTime()) / DAY);
    return Promise.resolve(
      Array.from({ length: Math.max(0, last - first + 1) }, (_, night) => at(1 + first + night)),
    );
  },
  starts: [],
};

async function look(now: Date, schedule: Partial<WatchedSchedule> | null = {}, open: string[] = []) {
  await findMissedNights(
    database,
    {
      isOpen: ({ workflowId }) => Promise.resolve(open.includes(workflowId)),
      lookUpSchedule: () => Promise.resolve(schedule === null ? null : { ...nightly, ...schedule }),
    },
    { schedule: 'nightjar-nightly', graceMinutes: 60, days: 7 },
    now,
  );
  const alerts = await database.db
    .selectFrom('pipeline.alerts')
    .select(['kind', 'about'])
    .orderBy('alert_id')
    .execute();
  return alerts.map(({ kind, about }) => `${kind} ${about ?? ''}`);
}

const missed = (day: number): string => `schedule_missed nightjar-nightly ${at(day).toISOString()}`;

test('a night without a run is missed after the grace, once', async () => {
  expect(await look(at(1, '02:59'))).toEqual([]);
  expect(await look(at(1, '03:00'))).toEqual([missed(1)]);
  expect(await look(at(1, '03:15'))).toEqual([missed(1)]);
  expect(await look(at(3, '12:00'))).toEqual([missed(1), missed(2), missed(3)]);
});

test.each(['success', 'failed'] as const)('a night with a run is not missed: %s', async (status) => {
  await closeRun(database, await insertRun(database, { asOf: at(1).toISOString() }), status);
  expect(await look(at(1, '12:00'))).toEqual([]);
});

test('nor is one that waits for another to end, or for a worker', async () => {
  const starts = [{ nominal: at(1), workflowId: 'waits' }];
  expect(await look(at(1, '04:00'), { starts }, ['waits'])).toEqual([]);
});

test('nor one that was refused and has told so', async () => {
  await raiseAlert(database.db, {
    kind: 'run_failed',
    about: aboutNight(at(1).toISOString()),
    message: 'no',
  });
  expect(await look(at(1, '12:00'))).toEqual([`run_failed as-of ${at(1).toISOString()}`]);
});

test('nor what goes by while the schedule is paused, also when it is resumed', async () => {
  expect(await look(at(1, '01:00'))).toEqual([]);
  expect(await look(at(1, '02:10'), { paused: true })).toEqual([]);
  expect(await look(at(5, '01:00'), { paused: true })).toEqual([]);
  expect(await look(at(5, '04:00'))).toEqual([missed(5)]);
});

test('nor what lies before the schedule, or so far back that nobody looks any more', async () => {
  expect(await look(at(20, '00:00'), null)).toEqual([]);
  expect(await look(at(20, '00:00'), { since: at(18, '12:00') })).toEqual([missed(19)]);
  expect(await look(at(30, '00:00'))).toEqual([19, 23, 24, 25, 26, 27, 28, 29].map(missed));
});

test('a night is skipped where one of the schedule was still under way, and missed where one of a person was', async () => {
  for (const [workflowId, day] of [
    ['nightjar-nightly-2026-03-01T02:00:00Z', 2],
    ['by-hand', 4],
  ] as const) {
    const run = await insertRun(database, { asOf: at(day - 1).toISOString() });
    await closeRun(database, run);
    await database.db
      .updateTable('pipeline.runs')
      .set({ workflow_id: workflowId, started_at: at(day - 1), finished_at: at(day, '02:30') })
      .where('run', '=', run)
      .execute();
  }
  expect(await look(at(4, '12:00'))).toEqual([
    `schedule_skipped nightjar-nightly ${at(2).toISOString()}`,
    missed(4),
  ]);
});

test('a time that its jitter moved is the night of the time before', async () => {
  await closeRun(database, await insertRun(database, { asOf: at(1).toISOString() }));
  const moved = { jitterMilliseconds: 600_000, times: () => Promise.resolve([at(1, '02:07')]) };
  expect(await look(at(1, '12:00'), moved)).toEqual([]);
});

/** Schedules as declared data, reconciled with what the server has. */

import {
  type Client,
  type ScheduleDescription,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleOptions,
} from '@temporalio/client';
import { type NightlyRequest, TASK_QUEUES } from '../workflows/contracts.ts';
import { NIGHT_EXECUTION_TIMEOUT } from '../workflows/timeouts.ts';

export interface DeclaredSchedule {
  id: string;
  /** Daily at a time, or every so many minutes (for tests and trials). */
  at: { hour: number; minute: number } | { everyMinutes: number };
  /** UTC unless there is a reason: a local time may come twice, or not at all, when clocks change. */
  timezone: string;
  /** Spreads starts that would fall together. */
  jitterSeconds: number;
  /** How late a missed night is still started when the server comes back. */
  catchupHours: number;
  /** Whether a failed night pauses the schedule until a person resumes it. */
  pauseOnFailure: boolean;
  request: NightlyRequest;
}

/** What runs by itself. */
export const schedules: DeclaredSchedule[] = [
  {
    id: 'nightjar-nightly',
    at: { hour: 2, minute: 0 },
    timezone: 'UTC',
    jitterSeconds: 0,
    // The server's own default is a year. Half a day late is still tonight; later the next night does it all.
    catchupHours: 12,
    pauseOnFailure: false,
    request: { profile: 'production' },
  },
];

/** Schedules with this prefix are ours: one that is not declared is an orphan. */
const PREFIX = 'nightjar-';

/** A property of a schedule that differs from its declaration; null where there is no schedule yet. */
export interface Difference {
  property: string;
  found: string | null;
  declared: string;
}

/**
 * Compares a schedule with its declaration.
 * @returns nothing where they agree
 */
export async function compareSchedule(client: Client, declared: DeclaredSchedule): Promise<Difference[]> {
  assertSafeTime(declared);
  const wanted = declaredFacts(declared);
  const description = await describe(client, declared.id);
  const found = description === null ? null : foundFacts(description);
  return Object.entries(wanted)
    .map(([property, value]) => ({ property, found: found?.[property] ?? null, declared: value }))
    .filter((difference) => difference.found !== difference.declared);
}

/** Makes a schedule what it is declared to be; whether a person has paused it, and why, stays. */
export async function applySchedule(client: Client, declared: DeclaredSchedule): Promise<Difference[]> {
  const differences = await compareSchedule(client, declared);
  if (differences.length === 0) return [];
  const { scheduleId, ...options } = scheduleOptions(declared);
  if ((await describe(client, scheduleId)) === null) {
    await client.schedule.create({ scheduleId, ...options });
  } else {
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ ...options, state }));
  }
  return differences;
}

/** Schedules of ours that nothing declares (any more). */
export async function orphanedSchedules(client: Client, declared = schedules): Promise<string[]> {
  const orphans: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) {
    if (scheduleId.startsWith(PREFIX) && !declared.some(({ id }) => id === scheduleId))
      orphans.push(scheduleId);
  }
  return orphans.sort();
}

/** The description of a schedule, null where there is none. */
export async function describe(client: Client, id: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

function scheduleOptions(declared: DeclaredSchedule): ScheduleOptions {
  const { id, at, timezone, jitterSeconds, catchupHours, pauseOnFailure, request } = declared;
  return {
    scheduleId: id,
    spec: {
      ...('hour' in at
        ? { calendars: [{ hour: at.hour, minute: at.minute }] }
        : { intervals: [{ every: `${at.everyMinutes}m` }] }),
      timezone,
      jitter: `${jitterSeconds}s`,
    },
    action: {
      type: 'startWorkflow',
      workflowType: 'nightlyPipeline',
      workflowId: id,
      taskQueue: TASK_QUEUES.pipeline,
      // Without an as-of: it is the nominal time, which a late or backfilled run keeps.
      args: [request],
      workflowExecutionTimeout: NIGHT_EXECUTION_TIMEOUT,
      staticSummary: `scheduled by ${id}`,
    },
    policies: {
      // One night at a time; a night that is still under way when the next is due does that one's work too.
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: `${catchupHours}h`,
      pauseOnFailure,
    },
  };
}

type Facts = Record<string, string>;

function declaredFacts(declared: DeclaredSchedule): Facts {
  const { at, timezone, jitterSeconds, catchupHours, pauseOnFailure, request } = declared;
  return {
    time: 'hour' in at ? `${at.hour}:${String(at.minute).padStart(2, '0')}` : `every ${at.everyMinutes} min`,
    timezone,
    jitter: `${jitterSeconds} s`,
    workflow: 'nightlyPipeline',
    'task queue': TASK_QUEUES.pipeline,
    input: JSON.stringify(request),
    'execution timeout': `${Number.parseInt(NIGHT_EXECUTION_TIMEOUT) * 3600} s`,
    overlap: ScheduleOverlapPolicy.SKIP,
    'catch-up window': `${catchupHours} h`,
    'pause on failure': String(pauseOnFailure),
  };
}

/** The same properties as the server has them. */
function foundFacts({ raw, action, policies }: ScheduleDescription): Facts {
  const spec = raw.schedule?.spec;
  const start = raw.schedule?.action?.startWorkflow;
  const times = [
    ...(spec?.structuredCalendar ?? []).map((calendar) => {
      const only = (ranges: { start?: number | null; end?: number | null }[] | null | undefined) =>
        ranges?.map((range) => range.start ?? 0).join(',') ?? '';
      return `${only(calendar.hour)}:${only(calendar.minute).padStart(2, '0')}`;
    }),
    ...(spec?.interval ?? []).map(({ interval }) => `every ${Number(interval?.seconds ?? 0) / 60} min`),
  ];
  return {
    time: times.join(' and '),
    timezone: spec?.timezoneName || 'UTC',
    jitter: `${Number(spec?.jitter?.seconds ?? 0)} s`,
    workflow: start?.workflowType?.name ?? '',
    'task queue': start?.taskQueue?.name ?? '',
    input: JSON.stringify(action.args?.[0] ?? null),
    'execution timeout': `${Number(start?.workflowExecutionTimeout?.seconds ?? 0)} s`,
    overlap: String(policies.overlap),
    'catch-up window': `${policies.catchupWindow / 3_600_000} h`,
    'pause on failure': String(policies.pauseOnFailure),
  };
}

/**
 * Between 00:00 and 03:30 clocks change: such a local time does not come on one day of the year, or comes twice on
 * another.
 * @throws for such a time in a zone other than UTC
 */
function assertSafeTime({ id, at, timezone }: DeclaredSchedule): void {
  if (timezone === 'UTC' || !('hour' in at) || at.hour * 60 + at.minute > 210) return;
  throw new Error(
    `schedule ${id}: ${at.hour}:${String(at.minute).padStart(2, '0')} ${timezone} is a time at which clocks change; declare it in UTC, or after 03:30`,
  );
}

/** Reconciles the server's schedules with what `config/schedules.ts` declares. */

import {
  type Client,
  type ScheduleDescription,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleOptions,
} from '@temporalio/client';
import { type DeclaredSchedule, schedules } from '../config/schedules.ts';
import { TASK_QUEUES } from '../workflows/contracts.ts';
import {
  NIGHT_EXECUTION_TIMEOUT,
  SPEED_EXECUTION_TIMEOUT,
  WATCHDOG_EXECUTION_TIMEOUT,
} from '../workflows/timeouts.ts';

/** Schedules with this prefix are ours: one that is not declared is an orphan. */
const PREFIX = 'nightjar-';
const EXECUTION_TIMEOUTS = {
  nightlyPipeline: NIGHT_EXECUTION_TIMEOUT,
  watchdog: WATCHDOG_EXECUTION_TIMEOUT,
  speedLayer: SPEED_EXECUTION_TIMEOUT,
} as const;
/** One at a time; a night that is still under way when the next is due does that one's work too. */
const OVERLAP = ScheduleOverlapPolicy.SKIP;

/** A property of a schedule that differs from its declaration; found is null where there is no schedule yet. */
export interface Difference {
  property: string;
  found: string | null;
  declared: string;
}

/**
 * Compares a schedule's spec, action and policies with its declaration. Its state is a person's: not compared.
 * @returns nothing where they agree
 */
export async function compareSchedule(client: Client, declared: DeclaredSchedule): Promise<Difference[]> {
  assertSafeTime(declared);
  const description = await describeSchedule(client, declared.id);
  const found = description === null ? null : foundFacts(description);
  return Object.entries(declaredFacts(declared))
    .map(([property, value]) => ({ property, found: found?.[property] ?? null, declared: value }))
    .filter((difference) => difference.found !== difference.declared);
}

/** Makes a schedule what it is declared to be; whether a person has paused it, and why, stays. */
export async function applySchedule(client: Client, declared: DeclaredSchedule): Promise<Difference[]> {
  const differences = await compareSchedule(client, declared);
  if (differences.length === 0) return [];
  const { scheduleId, ...options } = scheduleOptions(declared);
  if ((await describeSchedule(client, scheduleId)) === null) {
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
export async function describeSchedule(client: Client, id: string): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

function scheduleOptions(declared: DeclaredSchedule): ScheduleOptions {
  const { id, at, timezone, jitterSeconds, catchupHours, pauseOnFailure, workflow, request } = declared;
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
      workflowType: workflow,
      workflowId: id,
      taskQueue: TASK_QUEUES.pipeline,
      args: [request],
      workflowExecutionTimeout: EXECUTION_TIMEOUTS[workflow],
      staticSummary: summary(id),
    },
    policies: { overlap: OVERLAP, catchupWindow: `${catchupHours}h`, pauseOnFailure },
  };
}

const summary = (id: string): string => `scheduled by ${id}`;
const NONE = 'none';

/** Every property that a declaration fixes, in words; what it leaves out is none, and stays none. */
type Facts = Record<string, string>;

function declaredFacts(declared: DeclaredSchedule): Facts {
  const { id, at, timezone, jitterSeconds, catchupHours, pauseOnFailure, workflow, request } = declared;
  return {
    time: 'hour' in at ? clock(at.hour, at.minute) : every(at.everyMinutes * 60_000, 0),
    'except at': NONE,
    from: NONE,
    until: NONE,
    timezone,
    jitter: `${jitterSeconds} s`,
    workflow,
    'workflow id': id,
    'task queue': TASK_QUEUES.pipeline,
    input: JSON.stringify([request]),
    'execution timeout': inSeconds(EXECUTION_TIMEOUTS[workflow]),
    'run timeout': NONE,
    'task timeout': NONE,
    retries: NONE,
    memo: NONE,
    'search attributes': NONE,
    summary: summary(id),
    overlap: OVERLAP,
    'catch-up window': `${catchupHours} h`,
    'pause on failure': String(pauseOnFailure),
  };
}

/** The same properties as the server has them. */
function foundFacts({ spec, action, policies }: ScheduleDescription): Facts {
  const attributes = action.typedSearchAttributes;
  const times = [
    ...(spec.calendars ?? []).map(calendarTime),
    ...(spec.intervals ?? []).map(({ every: period, offset }) => every(period, offset)),
  ];
  return {
    time: times.length === 0 ? 'never' : times.join(' and '),
    'except at': orNone(spec.skip),
    from: orNone(spec.startAt),
    until: orNone(spec.endAt),
    timezone: spec.timezone || 'UTC',
    jitter: `${(spec.jitter ?? 0) / 1000} s`,
    workflow: action.workflowType,
    'workflow id': action.workflowId,
    'task queue': action.taskQueue,
    input: JSON.stringify(action.args ?? []),
    'execution timeout': duration(action.workflowExecutionTimeout),
    'run timeout': duration(action.workflowRunTimeout),
    'task timeout': duration(action.workflowTaskTimeout),
    retries: orNone(action.retry),
    memo: orNone(action.memo),
    'search attributes': orNone(
      (Array.isArray(attributes) ? attributes : attributes?.getAll())?.map(({ key, value }) => [
        key.name,
        value,
      ]),
    ),
    summary: action.staticSummary ?? NONE,
    overlap: String(policies.overlap),
    'catch-up window': `${policies.catchupWindow / 3_600_000} h`,
    'pause on failure': String(policies.pauseOnFailure),
  };
}

type Calendar = NonNullable<ScheduleDescription['spec']['calendars']>[number];

const only = (value: number) => JSON.stringify([{ start: value, end: value, step: 1 }]);
/** The rest of a calendar that is every day's. */
const EVERY_DAY = {
  second: only(0),
  dayOfMonth: JSON.stringify([{ start: 1, end: 31, step: 1 }]),
  month: JSON.stringify([{ start: 'JANUARY', end: 'DECEMBER', step: 1 }]),
  dayOfWeek: JSON.stringify([{ start: 'SUNDAY', end: 'SATURDAY', step: 1 }]),
};

/** A plain daily time as such, anything else as the server has it. */
function calendarTime(calendar: Calendar): string {
  const { hour, minute } = calendar;
  const daily =
    Object.entries(EVERY_DAY).every(
      ([field, ranges]) => JSON.stringify(calendar[field as keyof Calendar]) === ranges,
    ) &&
    JSON.stringify(hour) === only(hour[0]?.start) &&
    JSON.stringify(minute) === only(minute[0]?.start) &&
    orNone(calendar.year) === NONE;
  return daily ? clock(hour[0].start, minute[0].start) : JSON.stringify(calendar);
}

function clock(hour: number, minute: number): string {
  return `daily at ${hour}:${String(minute).padStart(2, '0')}`;
}

function every(periodMilliseconds: number, offsetMilliseconds: number | undefined): string {
  const offset = offsetMilliseconds ? ` and ${offsetMilliseconds / 1000} s` : '';
  return `every ${periodMilliseconds / 60_000} min${offset}`;
}

/** A number of hours or minutes. */
function inSeconds(timeout: `${number}h` | `${number}m`): string {
  return `${Number.parseInt(timeout) * (timeout.endsWith('h') ? 3600 : 60)} s`;
}

function duration(milliseconds: unknown): string {
  return typeof milliseconds === 'number' && milliseconds > 0 ? `${milliseconds / 1000} s` : NONE;
}

function orNone(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  return ['null', '[]', '{}'].includes(text) ? NONE : text;
}

/**
 * Between 00:00 and 03:30 clocks change: such a local time does not come on one day of the year, or comes twice on
 * another.
 * @throws for such a time in a zone other than UTC
 */
function assertSafeTime({ id, at, timezone }: DeclaredSchedule): void {
  if (timezone === 'UTC' || !('hour' in at) || at.hour * 60 + at.minute > 210) return;
  throw new Error(
    `schedule ${id}: ${clock(at.hour, at.minute)} ${timezone} is a time at which clocks change; declare it in UTC, or after 03:30`,
  );
}

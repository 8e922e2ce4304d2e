/**
 * Timeouts and retries of each kind of work, in one place, so that a test can add up the worst case. Times are
 * several times what 10 million ratings took on two cores; see docs/measurements.md.
 */

import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { TASK_QUEUES } from './contracts.ts';

/**
 * Six attempts with 5, 15, 45, 120 and 120 s between them: a database that restarts, fails over or is recovering for
 * five minutes fails no night, whose every attempt is refused at once meanwhile.
 */
export const retry = {
  initialInterval: '5s',
  backoffCoefficient: 3,
  maximumInterval: '2m',
  maximumAttempts: 6,
} as const;

/**
 * A cancelled night waits until its statements and threads have stopped, half a second or so, before it clears
 * what they leave; and a row that was written all the same is known of.
 */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/**
 * Short statements on the ledger and the pointer, of milliseconds. Too short to beat: a worker that died in one is
 * noticed when its time is over.
 */
export const quickSql = {
  cancellationType,
  startToCloseTimeout: '20s',
  retry,
} satisfies ActivityOptions;

/** Set-wise statements over all ratings; a worker that dies is noticed by its missing heartbeat. */
export const longSql = {
  cancellationType,
  startToCloseTimeout: '5m',
  heartbeatTimeout: '10s',
  retry,
} satisfies ActivityOptions;

/** Numeric work in threads, on the queue whose slots count processors. */
export const numeric = {
  taskQueue: TASK_QUEUES.training,
  cancellationType,
  startToCloseTimeout: '10m',
  heartbeatTimeout: '10s',
  retry,
} satisfies ActivityOptions;

/**
 * Numeric work that can wait: a night's own goes first where the server goes by priorities, which 1.29 does with
 * `matching.useNewMatcher`. 5 is the last.
 */
export const numericLast = { ...numeric, priority: { priorityKey: 5 } } satisfies ActivityOptions;

/**
 * Entering a run in the ledger. While another night is live it is refused again and again, so it waits by
 * retrying, for longer than a night takes.
 */
export const beginning = {
  cancellationType,
  startToCloseTimeout: '20s',
  scheduleToCloseTimeout: '3h',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s' },
} satisfies ActivityOptions;

/**
 * A night that has not ended by then is stuck. Above the worst case of all its activities, so that a night fails
 * by the activity that could not be done, and below the day until the next one; `test/night.test.ts` adds it up.
 */
export const NIGHT_EXECUTION_TIMEOUT = '22h';

/** 64 points, the most there may be, one after another and each as long as one attempt may take: 11 h; twice that. */
export const GRID_SEARCH_EXECUTION_TIMEOUT = '22h';

/** 40 trainings, the most there may be, one after another and each as long as one attempt may take: 7 h; three times that. */
export const AB_TEST_EXECUTION_TIMEOUT = '22h';

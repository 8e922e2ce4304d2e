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

/** The next pass comes in minutes and does it all: three attempts, 5 and 15 s between them. */
const speedRetry = { ...retry, maximumAttempts: 3 };

/** A pass of the speed layer: some seconds at 25 million ratings. */
export const speedSql = {
  ...longSql,
  startToCloseTimeout: '2m',
  retry: speedRetry,
} satisfies ActivityOptions;

/** Its numeric part, of a second or so, which waits for the night's training where there is one slot. */
export const speedNumeric = {
  ...numericLast,
  startToCloseTimeout: '2m',
  retry: speedRetry,
} satisfies ActivityOptions;

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
 * Receivers of alerts, which answer within seconds or not at all: a day of tries, 5 s apart at first and a quarter of
 * an hour in the end. Ten refusals are passed after about an hour.
 */
export const delivery = {
  startToCloseTimeout: '60s',
  scheduleToCloseTimeout: '24h',
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumInterval: '15m' },
} satisfies ActivityOptions;

/** The same while somebody waits for it. */
export const deliveryOnce = {
  startToCloseTimeout: '60s',
  retry: { maximumAttempts: 1 },
} satisfies ActivityOptions;

/** A day of tries, and what it takes to write down that they were in vain. */
export const DELIVERY_EXECUTION_TIMEOUT = '26h';

/** A test alert is sent once; without a worker the command says so after that. */
export const TEST_ALERT_EXECUTION_TIMEOUT = '3m';

/** Short statements, each six times over five minutes at the worst. */
export const WATCHDOG_EXECUTION_TIMEOUT = '1h';

/**
 * Every attempt of both parts to its timeout takes 13 minutes; the rest is for waiting behind a training. Passes that fall
 * due meanwhile are skipped.
 */
export const SPEED_EXECUTION_TIMEOUT = '25m';

/**
 * A night that has not ended by then is stuck. Above the worst case of all its activities, so that a night fails
 * by the activity that could not be done, and below the day until the next one; `test/night.test.ts` adds it up.
 */
export const NIGHT_EXECUTION_TIMEOUT = '22h';

/** 64 points, the most there may be, one after another and each as long as one attempt may take: 11 h; twice that. */
export const GRID_SEARCH_EXECUTION_TIMEOUT = '22h';

/** Two activities of a second or so; with every attempt of both to its timeout, 40 minutes. */
export const ROLLBACK_EXECUTION_TIMEOUT = '1h';

/** 40 trainings, the most there may be, one after another and each as long as one attempt may take: 7 h; three times that. */
export const AB_TEST_EXECUTION_TIMEOUT = '22h';

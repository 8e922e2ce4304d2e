/** Takes the place of `workflows/timeouts.ts` in a test's bundle: a death is noticed in two seconds, not in ten. */

import * as real from '../../workflows/timeouts.ts';

// Times only: as many attempts as in production.
const retry = { ...real.retry, initialInterval: '200ms', maximumInterval: '1s' } as const;
const short = { startToCloseTimeout: '60s', heartbeatTimeout: '2s', retry } as const;

export const quickSql = { ...real.quickSql, startToCloseTimeout: '3s', retry } as const;
export const beginning = { ...real.beginning, startToCloseTimeout: '3s' } as const;
export const delivery = {
  ...real.delivery,
  scheduleToCloseTimeout: '25s',
  retry: { initialInterval: '100ms', backoffCoefficient: 1.2, maximumInterval: '300ms' },
} as const;
export const longSql = { ...real.longSql, ...short };
export const numeric = { ...real.numeric, ...short };
export const numericLast = { ...real.numericLast, ...short };
// What is named above hides its namesake.
export * from '../../workflows/timeouts.ts';

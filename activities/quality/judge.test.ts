import { expect, test } from 'vitest';
import { CHECK_NAMES, type Threshold } from '../../config/checks.ts';
import { resolveSettings } from '../../config/settings.ts';
import type { Check, Observation } from './check.ts';
import { checks } from './checks.ts';
import { judge } from './judge.ts';

const check: Check = {
  name: 'duplicates',
  scope: 'bronze',
  limit: 'most',
  expected: (threshold) => `at most ${threshold}`,
  remedy: 'mend it',
};

function judged(observation: Observation, threshold: Threshold, limit: Check['limit'] = 'most') {
  const settings = resolveSettings('small');
  settings.quality.thresholds.duplicates = threshold;
  return judge({ ...check, limit }, observation, settings);
}

test.each([
  // observed, warn, error, limit, status
  [5, 10, 20, 'most', 'passed'],
  [10, 10, 20, 'most', 'passed'],
  [11, 10, 20, 'most', 'warned'],
  [21, 10, 20, 'most', 'failed'],
  // Both are crossed: the error is asked first, whichever is the stricter.
  [21, 20, 10, 'most', 'failed'],
  [15, 20, 10, 'most', 'failed'],
  [100, null, 20, 'most', 'failed'],
  [100, 10, null, 'most', 'warned'],
  [100, null, null, 'most', 'skipped'],
  [20, 15, 10, 'least', 'passed'],
  [12, 15, 10, 'least', 'warned'],
  [9, 15, 10, 'least', 'failed'],
  [NaN, 10, null, 'most', 'warned'],
  [NaN, null, 10, 'least', 'failed'],
] as const)('%s against warn %s and error %s at %s: %s', (observed, warn, error, limit, status) => {
  expect(judged({ observed }, { warn, error }, limit).status).toBe(status);
});

test('the sentence names the threshold that was crossed', () => {
  const threshold = { warn: 10, error: 20 };
  expect(judged({ observed: 3 }, threshold).message).toBe('duplicates: at most 10');
  expect(judged({ observed: 11 }, threshold).message).toBe(
    'duplicates expected at most 10, found 11: mend it',
  );
  expect(judged({ observed: 1234 }, threshold).message).toBe(
    'duplicates expected at most 20, found 1,234: mend it',
  );
});

test('what could not be measured has failed, though the check only warns', () => {
  expect(judged({ observed: null, finding: 'nothing' }, { warn: 10, error: null })).toMatchObject({
    status: 'failed',
    message: 'duplicates expected at most 10, found nothing',
  });
});

test('a check without thresholds is not asked, and says so', () => {
  expect(judged({ observed: null }, { warn: null, error: null })).toMatchObject({
    status: 'skipped',
    message: 'duplicates: skipped: it has no threshold',
  });
});

test('every check has its thresholds and every threshold its check', () => {
  expect(checks.map(({ name }) => name).sort()).toEqual([...CHECK_NAMES].sort());
});

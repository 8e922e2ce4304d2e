import { expect, test } from 'vitest';
import { BROKEN_SAMPLE_RATIO, groupsRatioPValue } from './sample-ratio.ts';

test.each([
  [[100, 100], 1],
  [[110, 90], 0.1573],
  [[110, 100, 90], 0.3679],
  [[120, 100, 100, 80], 0.046],
  [[0, 0, 0], 1],
])('groups of %j users have the tail of chi-squared, %f', (users, p) => {
  expect(groupsRatioPValue(users)).toBeCloseTo(p, 4);
});

test('groups that are no equal parts are told', () => {
  for (const users of [
    [600, 400],
    [400, 300, 300],
    [340, 220, 220, 220],
  ])
    expect(groupsRatioPValue(users)).toBeLessThan(BROKEN_SAMPLE_RATIO);
});

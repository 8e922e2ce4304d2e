import { expect, test } from 'vitest';
import { resolveSettings } from '../../config/settings.ts';
import { type Evidence, decide } from './decide.ts';
import type { PairedComparison } from './paired-comparison.ts';
import { sampleRatioPValue } from './sample-ratio.ts';

const settings = resolveSettings('small');

/** Champion against challenger: positive where the challenger is better. */
function compared(difference: number, low: number, high: number): PairedComparison {
  return {
    a: 'champion',
    b: 'challenger',
    difference,
    low,
    high,
    users: 100,
    resamples: 1000,
    seed: 42,
    decided: low > 0 || high < 0,
    winner: difference > 0 ? 'challenger' : 'champion',
  };
}

function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    challenger: { configuration: 'challenger', rmse: 0.86 },
    champion: { configuration: 'champion', rmse: 0.87 },
    comparison: compared(0.01, 0.005, 0.015),
    mayPublish: true,
    ...change,
  };
}

test('the first night takes the best challenger', () => {
  const found = decide(evidence({ champion: null, comparison: null }), settings);
  expect(found).toMatchObject({ decision: 'first', configuration: 'challenger', alarm: null });
  expect(found.reason).toContain('0.8600');
});

test('a gain of at least what is asked for, with an interval above zero, is a promotion', () => {
  expect(decide(evidence(), settings)).toMatchObject({ decision: 'promotion', configuration: 'challenger' });
});

test.each([
  ['less than what is asked for', compared(0.002, 0.001, 0.003), 'less than the 0.003'],
  ['an interval across zero', compared(0.01, -0.001, 0.02), 'does not exclude zero'],
  ['a loss', compared(-0.01, -0.02, -0.005), 'loses 0.0100'],
])('%s keeps the champion', (_name, comparison, said) => {
  const found = decide(evidence({ comparison }), settings);
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(found.reason).toContain(said);
});

test('the champion that is the best challenger itself stays', () => {
  const found = decide(
    evidence({ challenger: { configuration: 'champion', rmse: 0.87 }, comparison: null }),
    settings,
  );
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
});

test('over the threshold the alarm is raised, and the policy decides', () => {
  const strict = resolveSettings('small', ['alarm.rmseThreshold=0.8']);
  const blocked = decide(evidence(), strict);
  expect(blocked).toMatchObject({ decision: 'blocked' });
  expect(blocked.alarm).toContain('over the threshold of 0.8');
  const publish = resolveSettings('small', ['alarm.rmseThreshold=0.8', 'alarm.policy=publish']);
  const published = decide(evidence(), publish);
  expect(published).toMatchObject({ decision: 'promotion' });
  expect(published.alarm).not.toBeNull();
});

test('the alarm is about the winner, not about a challenger that lost', () => {
  const worse = evidence({
    challenger: { configuration: 'challenger', rmse: 1.2 },
    champion: { configuration: 'champion', rmse: 0.9 },
    comparison: compared(-0.3, -0.4, -0.2),
  });
  expect(decide(worse, settings)).toMatchObject({ decision: 'refresh', alarm: null });
});

test('an older as-of is decided and never published', () => {
  expect(decide(evidence({ mayPublish: false }), settings)).toMatchObject({ decision: 'not_published' });
});

// Chi-squared of one degree of freedom: 3.841459 at 5%, 10.827566 at 0.1%.
test('the sample-ratio test has the p-values of its distribution', () => {
  expect(sampleRatioPValue(500, 500)).toBeCloseTo(1, 6);
  expect(sampleRatioPValue(1000 + 1.959964 * Math.sqrt(500), 1000 - 1.959964 * Math.sqrt(500))).toBeCloseTo(
    0.05,
    4,
  );
  expect(sampleRatioPValue(600, 400)).toBeLessThan(0.001);
  expect(sampleRatioPValue(0, 0)).toBe(1);
});

import { expect, test } from 'vitest';
import { resolveSettings } from '../../config/settings.ts';
import { type Evidence, type Measured, decide } from './decide.ts';
import type { PairedComparison } from './paired-comparison.ts';
import { sampleRatioPValue } from './sample-ratio.ts';

const settings = resolveSettings('small');

/** Champion against challenger: positive where the challenger is better. */
function compared(difference: number, low: number, high: number): PairedComparison {
  return {
    metric: 'rmse',
    a: 'champion',
    b: 'challenger',
    difference,
    low,
    high,
    p: 0.002,
    adjustedP: 0.004,
    users: 100,
    resamples: 1000,
    seed: 42,
    decided: low > 0 || high < 0,
    winner: difference > 0 ? 'challenger' : 'champion',
  };
}

const measured = (configuration: string, rmse: number): Measured => ({
  configuration,
  value: rmse,
  rmse,
  coverage: 0.03,
});

function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    challenger: measured('challenger', 0.86),
    champion: measured('champion', 0.87),
    comparison: compared(0.01, 0.005, 0.015),
    baseline: null,
    churn: { churn: 0.4, users: 100 },
    mayPublish: true,
    ...change,
  };
}

/** Lists are what decides: more is better, so a challenger that is better has a negative difference. */
const byLists = resolveSettings('small', ['selection.metric=ndcg@10', 'selection.minimumImprovement=0.01']);
const listed = (difference: number, low: number, high: number): PairedComparison => ({
  ...compared(difference, low, high),
  metric: 'ndcg@10',
});
const beatsPopular = listed(-0.05, -0.08, -0.02);

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
  [
    'an interval below zero',
    compared(-0.01, -0.02, -0.001),
    'interval -0.0200 to -0.0010, which leaves no gain',
  ],
  ['a loss', compared(-0.01, -0.02, -0.005), 'loses 0.0100'],
])('%s keeps the champion', (_name, comparison, said) => {
  const found = decide(evidence({ comparison }), settings);
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(found.reason).toContain(said);
});

test('the champion that is the best challenger itself stays', () => {
  const found = decide(evidence({ challenger: measured('champion', 0.87), comparison: null }), settings);
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
    challenger: measured('challenger', 1.2),
    champion: measured('champion', 0.9),
    comparison: compared(-0.3, -0.4, -0.2),
  });
  expect(decide(worse, settings)).toMatchObject({ decision: 'refresh', alarm: null });
});

test('an older as-of is decided and never published', () => {
  expect(decide(evidence({ mayPublish: false }), settings)).toMatchObject({ decision: 'not_published' });
});

test('a gain that is one of many tries must hold after the correction for them', () => {
  const comparison = { ...compared(0.01, 0.001, 0.02), p: 0.03, adjustedP: 0.09 };
  const found = decide(evidence({ comparison }), settings);
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(found.reason).toContain("p 0.090 after Holm's correction");
});

test('lists that reach too little of the catalogue are not promoted', () => {
  const challenger = { ...measured('challenger', 0.86), coverage: 0.004 };
  const found = decide(evidence({ challenger }), settings);
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(found.reason).toContain('reach 0.0040 of the catalogue, less than the 0.01');
  expect(decide(evidence({ challenger, champion: null, comparison: null }), settings)).toMatchObject({
    decision: 'blocked',
  });
});

test.each([
  [
    { churn: 0.81, users: 610 },
    'but the churn of its lists is 0.810 over 610 users, more than the 0.8 allowed',
  ],
  [null, 'but the churn of its lists was not measured'],
])('a challenger that would change too much of the lists is not promoted: %j', (churn, said) => {
  const found = decide(evidence({ churn }), settings);
  expect(found).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(found.reason).toContain(said);
  const meant = resolveSettings('small', ['selection.maximumChurn=1']);
  expect(decide(evidence({ churn }), meant)).toMatchObject({ decision: 'promotion' });
});

test('lists that keep enough, or that take no place of others, are promoted', () => {
  const found = decide(evidence({ churn: { churn: 0.8, users: 610 } }), settings);
  expect(found.decision).toBe('promotion');
  expect(found.reason).toContain('the churn of its lists is 0.800 over 610 users');
  const first = evidence({ champion: null, comparison: null, churn: null });
  expect(decide(first, settings)).toMatchObject({ decision: 'first' });
});

test('where lists decide, more is better', () => {
  const better = evidence({ comparison: listed(-0.03, -0.05, -0.01), baseline: beatsPopular });
  expect(decide(better, byLists)).toMatchObject({ decision: 'promotion', configuration: 'challenger' });
  const worse = evidence({ comparison: listed(0.03, 0.01, 0.05), baseline: beatsPopular });
  expect(decide(worse, byLists)).toMatchObject({ decision: 'refresh', configuration: 'champion' });
  expect(decide(worse, byLists).reason).toContain('loses 0.0300 NDCG@10');
});

test.each([
  ['worse than most-popular', listed(0.02, 0.01, 0.03)],
  ['not better than most-popular for sure', listed(-0.02, -0.05, 0.01)],
  ['not measured beside most-popular', null],
])('where lists decide, a challenger %s is never promoted', (_name, baseline) => {
  const comparison = listed(-0.03, -0.05, -0.01);
  expect(decide(evidence({ comparison, baseline }), byLists)).toMatchObject({ decision: 'refresh' });
  const first = decide(evidence({ champion: null, comparison: null, baseline }), byLists);
  expect(first).toMatchObject({ decision: 'blocked' });
  expect(first.reason).toContain('most-popular');
});

test('a metric that is not a number is no gain', () => {
  const comparison = compared(Number.NaN, Number.NaN, Number.NaN);
  expect(decide(evidence({ comparison }), settings)).toMatchObject({ decision: 'refresh' });
});

test('to ask is not to publish: what is served stays until somebody has decided', () => {
  const ask = resolveSettings('small', ['alarm.rmseThreshold=0.8', 'alarm.policy=ask']);
  expect(decide(evidence(), ask)).toMatchObject({
    decision: 'blocked',
    ask: { hours: 8, decision: 'promotion' },
  });
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

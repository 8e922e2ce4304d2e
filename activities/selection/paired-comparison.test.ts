import { expect, test } from 'vitest';
import { type PairedComparison, gainOfWinner } from './paired-comparison.ts';

const found: PairedComparison = {
  metric: 'rmse',
  a: 'als',
  b: 'popular',
  difference: -0.25,
  low: -0.5,
  high: 0.125,
  p: 0.04,
  adjustedP: 0.04,
  users: 100,
  resamples: 1_000,
  seed: 42,
  decided: false,
  winner: 'als',
};

test.each([
  ['the first, by what is better low', found, { gain: 0.25, low: -0.125, high: 0.5 }],
  [
    'the second, by what is better low',
    { ...found, difference: 0.25, low: -0.125, high: 0.5, winner: 'popular' },
    { gain: 0.25, low: -0.125, high: 0.5 },
  ],
  [
    'the first, by what is better high',
    { ...found, metric: 'ndcg@10', difference: 0.25, low: -0.125, high: 0.5 },
    { gain: 0.25, low: -0.125, high: 0.5 },
  ],
  [
    'the second, by what is better high',
    { ...found, metric: 'ndcg@10', winner: 'popular' },
    { gain: 0.25, low: -0.125, high: 0.5 },
  ],
] as const)('margin and interval are those of the winner: %s', (_, comparison, gain) => {
  expect(gainOfWinner(comparison)).toEqual(gain);
});

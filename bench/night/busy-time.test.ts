import { expect, test } from 'vitest';
import { type Interval, busyMilliseconds } from './busy-time.ts';

const between = (from: number, to: number): Interval => ({ from, to });

test.each<[string, Interval[], number]>([
  ['nothing ran', [], 0],
  ['one after the other', [between(10, 20), between(30, 50)], 30],
  ['what overlaps counts once', [between(10, 40), between(20, 50)], 40],
  ['one within another', [between(10, 50), between(20, 30)], 40],
  ['the same twice', [between(10, 20), between(10, 20)], 10],
  ['touching', [between(10, 20), between(20, 30)], 20],
  ['in any order', [between(60, 70), between(10, 30), between(20, 40)], 40],
  ['only what lies within', [between(-20, 10), between(90, 130), between(200, 300)], 20],
  ['longer than all', [between(-5, 500)], 100],
  ['no time at all', [between(40, 40)], 0],
])('%s', (_, intervals, busy) => {
  expect(busyMilliseconds(between(0, 100), intervals)).toBe(busy);
});

test('against a count of every millisecond', () => {
  let state = 1;
  const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 200; round++) {
    const intervals = Array.from({ length: random(12) }, () => {
      const from = random(140) - 20;
      return between(from, from + random(30));
    });
    let counted = 0;
    for (let at = 0; at < 100; at++) if (intervals.some(({ from, to }) => from <= at && at < to)) counted++;
    expect(busyMilliseconds(between(0, 100), intervals)).toBe(counted);
  }
});

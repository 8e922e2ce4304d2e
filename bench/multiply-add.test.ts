import { expect, test } from 'vitest';
import { LANES, createMultiplyAdd, measureMultiplyAdd, roundsOf } from './multiply-add.ts';

/** What the lanes add up to, each of its accumulator's number at first. */
function expected(turns: number, factor: number, addend: number): number {
  let sum = 0;
  for (let lane = 0; lane < LANES; lane++) {
    let value = Math.floor(lane / 4);
    for (let round = 0; round < roundsOf(turns); round++) value = value * factor + addend;
    sum += value;
  }
  return sum;
}

test.each([
  [1, 1, 1],
  [3, 0.5, 1],
  [2, -1, 0.25],
  [1_000, 1, 0.5],
])('%i turns of lane × %f + %f add up', (turns, factor, addend) => {
  expect(createMultiplyAdd()(turns, factor, addend)).toBeCloseTo(expected(turns, factor, addend), 4);
});

test('every thread has its share of a rate', async () => {
  expect(await measureMultiplyAdd(2)).toBeGreaterThan(0);
});

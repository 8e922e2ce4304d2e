import { expect, test } from 'vitest';
import { type Arm, checkAbTest, parseArm, trainings } from './ab-test.ts';
import { UsageError } from './settings.ts';

const als = (rank: number, seed = 42): Arm => ({
  family: 'als',
  rank,
  iterations: 10,
  regularization: 0.1,
  seed,
});

test('an arm is written in the words of a configuration, and what is not said is the default', () => {
  expect(parseArm('als')).toEqual(als(20));
  expect(parseArm(' als  rank=10 seed=7 ')).toEqual(als(10, 7));
  expect(parseArm('als-implicit rank=5 iterations=3 reg=0.5 alpha=40')).toEqual({
    family: 'als-implicit',
    rank: 5,
    iterations: 3,
    regularization: 0.5,
    seed: 42,
    alpha: 40,
  });
  expect(parseArm('popular')).toEqual({ family: 'popular' });
});

test.each([
  ['svd rank=3', 'expected als, als-biased, als-implicit or popular first'],
  ['als rank 10', 'expected rank=…'],
  ['als rank=ten', 'not rank=ten'],
  ['als rank=10 rank=11', 'rank is said twice'],
  ['als rank=0', 'rank: '],
  ['als alpha=2', 'only als-implicit has an alpha'],
  ['popular rank=3', 'popular has no parameters'],
])('%s is no arm', (text, says) => {
  expect(() => parseArm(text)).toThrow(UsageError);
  expect(() => parseArm(text)).toThrow(`--arm '${text}': `);
  expect(() => parseArm(text)).toThrow(says);
});

test('each arm is trained with each seed, the baseline once', () => {
  expect(trainings(als(10), [1, 2])).toEqual([als(10, 1), als(10, 2)]);
  expect(trainings(als(10), undefined)).toEqual([als(10)]);
  expect(trainings({ family: 'popular' }, [1, 2])).toEqual([{ family: 'popular' }]);
});

test('two to four arms that differ, by a metric that each of them has', () => {
  const check = (asked: object) => () => checkAbTest({ arms: [als(10), als(20)], metric: 'rmse', ...asked });
  expect(check({ salt: 'autumn', seeds: [1, 2] })()).toMatchObject({ salt: 'autumn', seeds: [1, 2] });
  expect(check({ arms: [als(10), als(10, 43)] })).not.toThrow();
  for (const [asked, says] of [
    [{ arms: [als(10)] }, '--arm: 1 arm; expected 2 to 4'],
    [{ arms: [1, 2, 3, 4, 5].map((rank) => als(rank)) }, '--arm: 5 arms'],
    [{ arms: [als(10), als(10)] }, '--arm: two arms are the same; expected arms that differ'],
    [{ arms: [als(10), als(10, 43)], seeds: [1] }, 'are the same with --seeds'],
    [{ arms: [als(10), { family: 'popular' }] }, '--metric rmse: popular predicts no ratings'],
    [{ seeds: [1, 1] }, '--seeds: expected values that differ'],
    [{ seeds: Array.from({ length: 11 }, (_, seed) => seed) }, '--seeds: '],
    [{ salt: '' }, '--salt: expected 1 to 100 characters'],
    [{ arms: [als(10), { family: 'svd' }] }, '--arm.1'],
    [{ metric: 'auc' }, '--metric: '],
  ] as const) {
    expect(check(asked), says).toThrow(UsageError);
    expect(check(asked)).toThrow(says);
  }
});

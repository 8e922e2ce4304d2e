import { expect, test } from 'vitest';
import { findStage, stagesAround } from './stages.ts';

test.each([
  ['silver gate', 'silver gate'],
  ['Silver-Gate', 'silver gate'],
  ['A/B test', 'A/B test'],
  ['ab-test', 'A/B test'],
  ['gate silver', undefined],
  ['', undefined],
])('%j means %s', (text, stage) => expect(findStage(text)).toBe(stage));

test('the stages before one, and from it on', () => {
  expect(stagesAround('bronze gate').before).toEqual(['source gate', 'bronze']);
  expect(stagesAround('publish gate').onwards).toEqual(['publish gate', 'clean up']);
});

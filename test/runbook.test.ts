import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAILURE_TYPES } from '../activities/support/failures.ts';
import { ALERT_KINDS } from '../database/types/pipeline.ts';

const runbook = readFileSync(new URL('../docs/runbook.md', import.meta.url), 'utf8');

test.each([...FAILURE_TYPES, ...ALERT_KINDS])('the runbook says what %s means and what to do', (name) => {
  const row = runbook.split('\n').find((line) => line.startsWith(`| \`${name}\``));
  const cells = (row ?? '').split('|').map((cell) => cell.trim());
  expect(cells.filter((cell) => cell !== '').length).toBeGreaterThanOrEqual(3);
});

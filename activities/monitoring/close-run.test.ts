import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { insertRun } from '../../test/support/runs.ts';
import { closeRun } from './close-run.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test('a run that was entered before a setting was there has its row in the log all the same', async () => {
  const run = await insertRun(database, { asOf: '2026-02-01T00:00:00Z' });
  await database.pool.query(
    `update pipeline.runs set settings = settings #- '{alarm,askHours}' where run = $1`,
    [run],
  );
  const outcome = await closeRun(database, run, {
    status: 'failed',
    type: 'GateFailed',
    failedStage: 'source gate',
    reason: 'no ratings',
  });
  expect(outcome).toMatchObject({ run, status: 'failed', reason: 'no ratings', alerts: ['gate_failed'] });
});

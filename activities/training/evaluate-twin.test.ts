import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot } from '../../test/support/stages.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 30, 20);
});
afterAll(() => database.drop());

test('a training whose factors are not finite is not tried again', async () => {
  const run = await insertRun(database, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
  const stages = createStages(database);
  await makeSnapshot(stages, run);
  const configuration = {
    family: 'als' as const,
    rank: 60,
    iterations: 2,
    // More dimensions than ratings and as good as no penalty: no row's equations can be solved.
    regularization: 1e-300,
    seed: 42,
  };
  await expect(stages.evaluateTwin({ run, configuration })).rejects.toMatchObject({
    type: 'ModelUnusable',
    nonRetryable: true,
    message: expect.stringMatching(/run 1, stage evaluate als.*not finite, expected finite ones/) as string,
  });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvironment } from '../../config/environment.ts';
import { createWorkers } from '../../worker/create-workers.ts';
import { TASK_QUEUES } from '../../workflows/contracts.ts';
import type { checkSource } from '../../workflows/index.ts';
import { createTestDatabase } from '../support/database.ts';
import { dependencies } from '../support/runs.ts';
import { fillSource } from '../support/source.ts';
import { createTestTemporal } from '../support/temporal.ts';
import { readHistories } from './histories.ts';
import { replay } from './replay.ts';

// The bundle as production has it: built by the command, taken by a worker from its file.
const directory = mkdtempSync(join(tmpdir(), 'nightjar-bundle-'));
const codePath = join(directory, 'workflow-bundle.js');
beforeAll(() => {
  const script = fileURLToPath(new URL('../../worker/bundle.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, codePath], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('the prebuilt bundle replays every history', async () => {
  for (const recorded of readHistories()) await replay({ codePath }, recorded);
});

test('a worker runs a workflow from the prebuilt bundle', async () => {
  const [database, temporal] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  const connection = await NativeConnection.connect({ address: temporal.address });
  await fillSource(database, 10, 10);
  const workers = await createWorkers({
    connection,
    namespace: temporal.namespace,
    environment: readEnvironment({
      DATABASE_URL: database.url,
      NIGHTJAR_SHUTDOWN_GRACE: '100ms',
      NIGHTJAR_WORKFLOW_BUNDLE: codePath,
    }),
    dependencies: dependencies(database),
  });
  const running = workers.run();
  try {
    const reports = await temporal.client.workflow.execute<typeof checkSource>('checkSource', {
      workflowId: 'check',
      taskQueue: TASK_QUEUES.pipeline,
      args: [{ profile: 'small' }],
    });
    expect(reports.map(({ check }) => check)).toContain('ratings_minimum');
  } finally {
    workers.shutdown();
    await running;
    await connection.close();
    await temporal.close();
    await database.drop();
  }
});

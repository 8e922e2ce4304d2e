import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { fileURLToPath } from 'node:url';
import { TASK_QUEUES } from '../workflows/contracts.ts';
import { createTestTemporal } from './support/temporal.ts';

// Activities replaced: this is about what a defect in workflow code does to the run.
test('a TypeError thrown in a workflow fails the run at once', async () => {
  const temporal = await createTestTemporal();
  const connection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: TASK_QUEUES.pipeline,
    workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)),
    // `begun.known` of null: a TypeError in the workflow.
    activities: { beginRun: () => Promise.resolve(null) },
  });
  try {
    await worker.runUntil(async () => {
      const result = temporal.client.workflow.execute('nightlyPipeline', {
        workflowId: randomUUID(),
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ profile: 'small' }],
        // A run that is only retried would still be open then, and end as timed out.
        workflowExecutionTimeout: '20s',
      });
      const failure: unknown = await result.catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(WorkflowFailedError);
      const { cause } = failure as WorkflowFailedError;
      expect(cause).toMatchObject({ name: 'ApplicationFailure', type: 'TypeError' });
    });
  } finally {
    await connection.close();
    await temporal.close();
  }
});

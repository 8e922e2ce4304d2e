import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { fileURLToPath } from 'node:url';
import type { RunFailure, RunOutcome } from '../activities/monitoring/index.ts';
import { TASK_QUEUES } from '../workflows/contracts.ts';
import { createTestTemporal } from './support/temporal.ts';

// Activities replaced: this is about the order in which the workflow lets things end.
test('where features fail, the experiments beside them are cancelled and have ended before the run is closed', async () => {
  const temporal = await createTestTemporal();
  const connection = await NativeConnection.connect({ address: temporal.address });
  const told: string[] = [];
  const failures: RunFailure[] = [];
  let splitting: () => void;
  const isSplitting = new Promise<void>((resolve) => (splitting = resolve));
  const rows = () => Promise.resolve({ rows: 1 });
  const activities = {
    beginRun: () => Promise.resolve({ run: 1, known: null, challengers: [], champion: [] }),
    ingestBronze: rows,
    buildSilver: rows,
    buildUserFeatures: rows,
    buildMovieFeatures: rows,
    buildUserGenrePreferences: rows,
    async runGate({ scope }: { scope: string }) {
      if (scope !== 'features') return { rows: 1 };
      await isSplitting;
      told.push('features gate failed');
      throw ApplicationFailure.nonRetryable('a feature is missing', 'GateFailed');
    },
    async splitHoldout() {
      splitting();
      const beating = setInterval(() => Context.current().heartbeat(), 50);
      try {
        await Context.current().cancelled;
      } finally {
        clearInterval(beating);
        // What it takes until threads and statements have stopped.
        await new Promise((resolve) => setTimeout(resolve, 300));
        told.push('split ended');
      }
    },
    failRun({ run, ...failure }: RunFailure & { run: number }): Promise<Partial<RunOutcome>> {
      told.push('run closed');
      failures.push(failure);
      return Promise.resolve({ run, status: 'failed', alerts: [] });
    },
  };
  const workers = await Promise.all(
    Object.values(TASK_QUEUES).map((taskQueue) =>
      Worker.create({
        connection,
        namespace: temporal.namespace,
        taskQueue,
        workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)),
        activities,
        defaultHeartbeatThrottleInterval: '50ms',
        maxHeartbeatThrottleInterval: '50ms',
      }),
    ),
  );
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    const night = temporal.client.workflow.execute('nightlyPipeline', {
      workflowId: randomUUID(),
      taskQueue: TASK_QUEUES.pipeline,
      args: [{ profile: 'small' }],
      workflowExecutionTimeout: '60s',
    });
    await expect(night).rejects.toMatchObject({ name: 'WorkflowFailedError' });
    expect(told).toEqual(['features gate failed', 'split ended', 'run closed']);
    expect(failures).toEqual([
      { status: 'failed', type: 'GateFailed', failedStage: 'features', reason: 'a feature is missing' },
    ]);
  } finally {
    workers.forEach((worker) => worker.shutdown());
    await running;
    await connection.close();
    await temporal.close();
  }
});

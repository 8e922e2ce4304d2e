/**
 * Whether a worker on this host polls for workflow tasks: exit code 0, else 1 and one line. It asks the server, so that
 * a process that hangs or has lost its connection is not healthy. The training queue is not asked about: its worker
 * does not poll while its slots are taken.
 */

import { hostname } from 'node:os';
import proto from '@temporalio/proto';
import { loadDotEnv } from '../config/dot-env.ts';
import { connectTemporal, temporalTarget } from '../temporal/connect.ts';
import { TASK_QUEUES } from '../workflows/contracts.ts';

/** A poll that finds nothing lasts about a minute and is then made anew: two of them and some room. */
const STALE_MILLISECONDS = 150_000;

async function lastPoll(): Promise<number | null> {
  const target = temporalTarget();
  const temporal = await connectTemporal(target);
  try {
    const { pollers } = await temporal.connection.workflowService.describeTaskQueue({
      namespace: target.namespace,
      taskQueue: { name: TASK_QUEUES.pipeline },
      taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    });
    const ours = pollers.filter(({ identity }) => identity?.endsWith(`@${hostname()}`));
    const times = ours.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000);
    return times.length === 0 ? null : Math.max(...times);
  } finally {
    await temporal.close();
  }
}

loadDotEnv();
try {
  const last = await lastPoll();
  if (last !== null && Date.now() - last < STALE_MILLISECONDS) process.exit(0);
  console.error(
    last === null
      ? `no worker on ${hostname()} polls ${TASK_QUEUES.pipeline}`
      : `the worker on ${hostname()} has last polled ${TASK_QUEUES.pipeline} at ${new Date(last).toISOString()}`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
}
process.exit(1);

import { hostname } from 'node:os';
import proto from '@temporalio/proto';
import { TASK_QUEUES } from '../workflows/contracts.ts';
import type { TemporalClient } from './connect.ts';

const { TASK_QUEUE_TYPE_WORKFLOW } = proto.temporal.api.enums.v1.TaskQueueType;

/** A poll that finds nothing lasts about a minute and is then made anew: two of them and some room. */
const STALE_MILLISECONDS = 150_000;

/** A worker of this process: the process, the host, and by the first digits of its id the database it works for. */
export function pollerIdentity(database: string): string {
  return `${process.pid}@${hostname()}${databaseMark(database)}`;
}

function databaseMark(database: string): string {
  return `#${database.slice(0, 8)}`;
}

/** Whether a poller is a worker on this host. */
export function isHere({ identity }: Poller): boolean {
  return identity.includes(`@${hostname()}#`);
}

/** Whether a poller works for that database. */
export function worksFor({ identity }: Poller, database: string): boolean {
  return identity.endsWith(databaseMark(database));
}

export interface Poller {
  identity: string;
  lastPoll: Date;
  /** Whether it has polled of late: a worker that hangs, or is gone, has not. */
  alive: boolean;
}

/** Who polls the pipeline's queue for workflow tasks. */
export async function listPollers({ connection }: TemporalClient, namespace: string): Promise<Poller[]> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: TASK_QUEUES.pipeline },
    taskQueueType: TASK_QUEUE_TYPE_WORKFLOW,
  });
  return pollers.map(({ identity, lastAccessTime }) => {
    const lastPoll = new Date(Number(lastAccessTime?.seconds ?? 0) * 1000);
    return {
      identity: identity ?? '',
      lastPoll,
      alive: Date.now() - lastPoll.getTime() < STALE_MILLISECONDS,
    };
  });
}

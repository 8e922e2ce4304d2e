/** Where every thread starts: it looks up its task, runs it and says how it went. */

import { enableCompileCache } from 'node:module';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { TaskName, ThreadContext, ThreadMessage, ThreadStart } from './protocol.ts';
import { transferables } from './transferables.ts';

// A thread lives for one call: what it has to read and compile is half of what its start costs.
enableCompileCache();

/** Whoever waits for a reader's answer, or for the worker's main thread, goes first: a number-cruncher only takes what is left. */
const NICENESS = 15;
// Elsewhere it would be the whole process's.
if (process.platform === 'linux') setPriority(NICENESS);

/** Each loads its own task and no more. */
const tasks: Record<TaskName, () => Promise<(data: never, context: ThreadContext) => unknown>> = {
  checksum: async () => (await import('../checksum.ts')).sumsOfHashes,
  split: async () => (await import('../split.ts')).splitColumns,
  matrix: async () => (await import('../build-matrix.ts')).buildMatrix,
  als: async () => (await import('../als.ts')).solveAls,
  fold: async () => (await import('../fold-in.ts')).solveFoldIn,
  rank: async () => (await import('../rank.ts')).rankRows,
  group: async () => (await import('../holdout.ts')).groupPairs,
  measure: async () => (await import('../measure-users.ts')).measureUsers,
  bootstrap: async () => (await import('../bootstrap.ts')).resampleUsers,
};

const port = parentPort;
if (port === null) throw new Error('entry.ts runs on a worker thread only');
const { task, thread, threads, control, data } = workerData as ThreadStart;
const send = (message: ThreadMessage): void =>
  port.postMessage(message, message.kind === 'error' ? [] : transferables(message.value));
try {
  const run = await tasks[task]();
  const context = {
    thread,
    threads,
    control: new Int32Array(control),
    progress: (value: unknown) => send({ kind: 'progress', value }),
  };
  send({ kind: 'done', value: run(data as never, context) });
} catch (error) {
  send({ kind: 'error', message: error instanceof Error ? error.message : String(error) });
}

/** What every thread does: it looks up its task, runs it, says how it went, and waits for the next. */

import { enableCompileCache } from 'node:module';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { collectGarbage } from './collect-garbage.ts';
import type { TaskName, ThreadContext, ThreadMessage, ThreadStart } from './protocol.ts';
import { transferables } from './transferables.ts';

// What it has to read and compile is half of what a thread's start costs.
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
const send = (message: ThreadMessage): void =>
  port.postMessage(message, message.kind === 'error' ? [] : transferables(message.value));

port.on('message', (start: ThreadStart) => {
  void answer(start).finally(collectGarbage);
});

async function answer({ task, thread, threads, control, data }: ThreadStart): Promise<void> {
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
}

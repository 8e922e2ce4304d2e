/** Where every thread starts: it looks up its task, runs it and says how it went. */

import { parentPort, workerData } from 'node:worker_threads';
import { solveAls } from '../als.ts';
import { resampleUsers } from '../bootstrap.ts';
import { evaluateUsers } from '../metrics.ts';
import { buildMatrix } from '../ratings.ts';
import { rankSimilar } from '../similar.ts';
import { splitTriples } from '../split.ts';
import { rankUsers } from '../topn.ts';
import type { TaskName, ThreadContext, ThreadMessage, ThreadStart } from './protocol.ts';

const tasks: Record<TaskName, (data: never, context: ThreadContext) => unknown> = {
  split: splitTriples,
  matrix: buildMatrix,
  als: solveAls,
  topn: rankUsers,
  similar: rankSimilar,
  evaluate: evaluateUsers,
  bootstrap: resampleUsers,
};

const port = parentPort;
if (port === null) throw new Error('entry.ts runs on a worker thread only');
const { task, thread, threads, control, data } = workerData as ThreadStart;
const send = (message: ThreadMessage): void => port.postMessage(message);
try {
  const context = {
    thread,
    threads,
    control: new Int32Array(control),
    progress: (value: unknown) => send({ kind: 'progress', value }),
  };
  send({ kind: 'done', value: tasks[task](data as never, context) });
} catch (error) {
  send({ kind: 'error', message: error instanceof Error ? error.message : String(error) });
}

/** Where every thread starts: it looks up its task, runs it and says how it went. */

import { parentPort, workerData } from 'node:worker_threads';
import { solveAls } from '../als.ts';
import { resampleUsers } from '../bootstrap.ts';
import { sumOfHashes } from '../checksum.ts';
import { buildMatrix } from '../build-matrix.ts';
import { solveFoldIn } from '../fold-in.ts';
import { groupHoldout } from '../holdout.ts';
import { measureUsers } from '../measure-users.ts';
import { rankRows } from '../rank.ts';
import { splitColumns } from '../split.ts';
import type { TaskName, ThreadContext, ThreadMessage, ThreadStart } from './protocol.ts';
import { transferables } from './transferables.ts';

const tasks: Record<TaskName, (data: never, context: ThreadContext) => unknown> = {
  checksum: sumOfHashes,
  split: splitColumns,
  matrix: buildMatrix,
  als: solveAls,
  fold: solveFoldIn,
  rank: rankRows,
  group: groupHoldout,
  measure: measureUsers,
  bootstrap: resampleUsers,
};

const port = parentPort;
if (port === null) throw new Error('entry.ts runs on a worker thread only');
const { task, thread, threads, control, data } = workerData as ThreadStart;
const send = (message: ThreadMessage): void =>
  port.postMessage(message, message.kind === 'error' ? [] : transferables(message.value));
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

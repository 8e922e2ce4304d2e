/** Where the bench's own threads start: one task each, one answer. */

import { parentPort, workerData } from 'node:worker_threads';
import { multiplyAddRate } from './multiply-add.ts';
import { drawRatings } from './synthetic-ratings.ts';
import type { ThreadTask } from './threads.ts';

const { task, data } = workerData as { task: ThreadTask; data: never };
const tasks: Record<ThreadTask, (data: never) => unknown> = {
  'synthetic-ratings': drawRatings,
  'multiply-add': multiplyAddRate,
};
parentPort?.postMessage(tasks[task](data));

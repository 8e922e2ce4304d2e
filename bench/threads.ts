import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export type ThreadTask = 'synthetic-ratings' | 'multiply-add';

/**
 * Runs a task of the bench beside the event loop and returns what it gave.
 * @throws what the thread threw
 */
export async function runThread<Result>(task: ThreadTask, data: object): Promise<Result> {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: { task, data } });
  const [result] = (await once(worker, 'message')) as [Result];
  await worker.terminate();
  return result;
}

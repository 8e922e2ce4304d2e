import { Worker } from 'node:worker_threads';
import type { TaskName, ThreadMessage, ThreadStart } from './protocol.ts';

export interface ThreadOptions {
  threads: number;
  signal?: AbortSignal;
  /** What a thread tells on its way. */
  onProgress?: (value: never) => void;
}

/**
 * Runs one task on every thread over the same (shared) data and returns what each gave, in the order of
 * threads. Threads never outlive the call: they are ended when it returns, throws or is aborted.
 * @throws the first error of a thread, or the signal's reason
 */
export async function runThreads<Result>(
  task: TaskName,
  data: object,
  options: ThreadOptions,
): Promise<Result[]> {
  const { threads, signal, onProgress } = options;
  signal?.throwIfAborted();
  const workers: Worker[] = [];
  // Chunk counter, barrier and whatever else threads of a task share.
  const control = new SharedArrayBuffer(64);
  let abort: (() => void) | undefined;
  try {
    return await new Promise<Result[]>((resolve, reject) => {
      const results = new Array<Result>(threads);
      let missing = threads;
      abort = () => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      for (let thread = 0; thread < threads; thread++) {
        const workerData: ThreadStart = { task, thread, threads, control, data };
        const worker = new Worker(new URL('./entry.ts', import.meta.url), { workerData });
        workers.push(worker);
        let finished = false;
        worker.on('message', (message: ThreadMessage) => {
          if (message.kind === 'progress') {
            onProgress?.(message.value as never);
            return;
          }
          finished = true;
          if (message.kind === 'error') reject(new Error(message.message));
          else results[thread] = message.value as Result;
          if (message.kind === 'done' && --missing === 0) resolve(results);
        });
        worker.on('error', (error) =>
          reject(new Error(`thread ${thread} of ${task} crashed`, { cause: error })),
        );
        worker.on('exit', (code) => {
          if (!finished)
            reject(new Error(`thread ${thread} of ${task} ended with code ${code} before it was done`));
        });
      }
    });
  } finally {
    // Node holds a composite signal that is listened to for good, and with it all that the threads gave.
    if (abort !== undefined) signal?.removeEventListener('abort', abort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { TaskName, ThreadMessage, ThreadStart } from './protocol.ts';

/**
 * Compiled WebAssembly that has been replaced by better stays, a few hundred KB. Several threads run some, the kernel and
 * Node's own reader of TypeScript, and others have seen V8 end the whole process while it freed such code; see decision 13.
 */
setFlagsFromString('--no-wasm-code-gc');

export interface ThreadOptions {
  threads: number;
  signal?: AbortSignal;
  /** What a thread tells on its way. */
  onProgress?: (value: never) => void;
}

/**
 * Runs one task on every thread over the same (shared) data and returns what each gave, in the order of
 * threads. No thread works beyond the call: where it throws or is aborted they are ended, else they wait a while for the next.
 * @throws the first error of a thread, or the signal's reason
 */
export async function runThreads<Result>(
  task: TaskName,
  data: object,
  options: ThreadOptions,
): Promise<Result[]> {
  const { threads, signal, onProgress } = options;
  signal?.throwIfAborted();
  const workers = Array.from({ length: threads }, takeWorker);
  // Chunk counter, barrier and whatever else threads of a task share.
  const control = new SharedArrayBuffer(64);
  let abort: (() => void) | undefined;
  let results: Result[] | undefined;
  try {
    results = await new Promise<Result[]>((resolve, reject) => {
      const found = new Array<Result>(threads);
      let missing = threads;
      abort = () => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      workers.forEach((worker, thread) => {
        worker.on('message', (message: ThreadMessage) => {
          if (message.kind === 'progress') return onProgress?.(message.value as never);
          if (message.kind === 'error') return reject(new Error(message.message));
          found[thread] = message.value as Result;
          if (--missing === 0) resolve(found);
        });
        worker.on('error', (error) =>
          reject(new Error(`thread ${thread} of ${task} crashed`, { cause: error })),
        );
        worker.on('exit', (code) =>
          reject(new Error(`thread ${thread} of ${task} ended with code ${code} before it was done`)),
        );
        worker.postMessage({ task, thread, threads, control, data } satisfies ThreadStart);
      });
    });
    return results;
  } finally {
    // Node holds a composite signal that is listened to for good, and with it all that the threads gave.
    if (abort !== undefined) signal?.removeEventListener('abort', abort);
    if (results !== undefined) workers.forEach(keepWorker);
    else await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Ready for a task: a thread takes a twentieth of a second to start, and a night has fifty tasks. */
const idle = new Map<Worker, NodeJS.Timeout>();

/** Longer than a night has something else to do between two tasks; then its memory is given back. */
const IDLE_MILLISECONDS = 5_000;

function takeWorker(): Worker {
  for (const worker of idle.keys()) {
    leaveIdle(worker);
    worker.ref();
    return worker;
  }
  return new Worker(new URL('./entry.ts', import.meta.url));
}

/** Keeps a thread for the next task; it holds no process open. */
function keepWorker(worker: Worker): void {
  stopListening(worker);
  worker.unref();
  const end = (): void => {
    leaveIdle(worker);
    void worker.terminate();
  };
  idle.set(worker, setTimeout(end, IDLE_MILLISECONDS).unref());
  worker.on('error', end);
  worker.on('exit', end);
}

function leaveIdle(worker: Worker): void {
  clearTimeout(idle.get(worker));
  idle.delete(worker);
  stopListening(worker);
}

/** Not all listeners: those that it has of its own see to it that messages come. */
function stopListening(worker: Worker): void {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
}

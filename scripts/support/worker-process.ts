import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('../../worker/main.ts', import.meta.url));

export interface WorkerProcess {
  /** Of the process that lives now: one that died has another one after it. */
  pid(): number | undefined;
  /** Resolves when it has ended and is not started again, with how. */
  ended: Promise<string>;
  /** SIGTERM, and waits for the drain. */
  stop(): Promise<void>;
}

/** A worker that dies so often has a reason that another start does not remove. */
const DEATHS = 5;
const WITHIN_MILLISECONDS = 60_000;

/**
 * Has glibc hand back what large arrays took: by default it raises, with each that is freed, the size up to which memory
 * stays with the process. No other allocator reads these.
 */
const GLIBC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };

/**
 * Keeps a worker beside a local stack, its log in a file, and waits until it polls. One that dies is started again; it
 * drains by itself when this process dies.
 * @throws where it ends before it is ready, naming its log
 */
export async function startWorkerProcess(
  logDirectory: string,
  servers: { databaseUrl: string; temporalAddress: string; namespace: string },
  say: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<WorkerProcess> {
  const logFile = join(logDirectory, 'worker.log');
  mkdirSync(logDirectory, { recursive: true });
  const log = openSync(logFile, 'a');
  const start = (): ChildProcess =>
    spawn(process.execPath, [WORKER], {
      // A session of its own, as of a service: see worker/precedence.ts.
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        ...GLIBC,
        ...env,
        DATABASE_URL: servers.databaseUrl,
        TEMPORAL_ADDRESS: servers.temporalAddress,
        TEMPORAL_NAMESPACE: servers.namespace,
      },
    });
  const end = async (child: ChildProcess): Promise<string> => {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return `the worker ended with ${signal ?? `code ${code}`}; its log is ${logFile}`;
  };

  let worker = start();
  let ending = end(worker);
  const failed = await Promise.race([once(worker, 'message').then(() => null), ending]);
  if (failed !== null) throw new Error(failed);

  let stopping = false;
  const keep = async (): Promise<string> => {
    const deaths: number[] = [];
    for (;;) {
      const how = await ending;
      if (stopping) return how;
      deaths.push(Date.now());
      const earlier = deaths.at(-DEATHS);
      if (earlier !== undefined && Date.now() - earlier < WITHIN_MILLISECONDS)
        return `${how}; it was started again ${DEATHS - 1} times within a minute`;
      say(`${how}; it is started again`);
      worker = start();
      ending = end(worker);
    }
  };
  const ended = keep();
  return {
    pid: () => worker.pid,
    ended,
    stop: async () => {
      stopping = true;
      worker.kill('SIGTERM');
      await ended;
    },
  };
}

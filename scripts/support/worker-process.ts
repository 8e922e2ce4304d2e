import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('../../worker/main.ts', import.meta.url));

export interface WorkerProcess {
  pid: number;
  logFile: string;
  /** Resolves when the process has ended, with how. */
  ended: Promise<string>;
  /** SIGTERM, and waits for the drain. */
  stop(): Promise<void>;
}

/**
 * Starts a worker beside a local stack, its log in a file, and waits until it polls. It drains by itself when
 * this process dies.
 * @throws where it ends before it is ready, naming its log
 */
export async function startWorkerProcess(
  logDirectory: string,
  servers: { databaseUrl: string; temporalAddress: string; namespace: string },
): Promise<WorkerProcess> {
  const logFile = join(logDirectory, 'worker.log');
  mkdirSync(logDirectory, { recursive: true });
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(process.execPath, [WORKER], {
    stdio: ['ignore', log, log, 'ipc'],
    env: {
      ...process.env,
      DATABASE_URL: servers.databaseUrl,
      TEMPORAL_ADDRESS: servers.temporalAddress,
      TEMPORAL_NAMESPACE: servers.namespace,
    },
  });
  const ended = once(child, 'exit').then(
    ([code, signal]: (number | string | null)[]) =>
      `worker ended with ${signal ?? `code ${code}`}; its log is ${logFile}`,
  );
  const ready = once(child, 'message').then(() => null);
  const failed = await Promise.race([ready, ended]);
  if (failed !== null) throw new Error(failed);
  return {
    pid: child.pid ?? -1,
    logFile,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

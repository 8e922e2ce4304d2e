import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { Point } from './faulty-worker.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The workflows with short timeouts, bundled once for all workers of a test. */
export async function bundleWithShortTimeouts(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: path('../../workflows/index.ts'),
    webpackConfigHook: (config) => {
      config.plugins = [
        ...(config.plugins ?? []),
        {
          apply: (compiler) =>
            compiler.hooks.normalModuleFactory.tap('short timeouts', (factory) =>
              factory.hooks.beforeResolve.tap('short timeouts', (request) => {
                const replaced =
                  /\/timeouts\.ts$/.test(request.request) &&
                  !request.contextInfo.issuer.includes('short-timeouts');
                if (replaced) request.request = path('./short-timeouts.ts');
              }),
            ),
        },
      ];
      return config;
    },
  });
  const file = join(mkdtempSync(join(tmpdir(), 'nightjar-bundle-')), 'workflow-bundle.js');
  writeFileSync(file, code);
  return file;
}

export interface WorkerEnvironment {
  databaseUrl: string;
  temporalAddress: string;
  namespace: string;
  bundle: string;
  point?: Point;
  directory?: string;
  /** SQL activities at a time: one by default, so that a death is that activity's alone. */
  slots?: number;
}

/** A worker process as a test wants it. */
export function spawnWorker(environment: WorkerEnvironment): ChildProcess {
  return spawn(process.execPath, [path('./faulty-worker.ts')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      DATABASE_URL: environment.databaseUrl,
      TEMPORAL_ADDRESS: environment.temporalAddress,
      TEMPORAL_NAMESPACE: environment.namespace,
      NIGHTJAR_WORKFLOW_BUNDLE: environment.bundle,
      NIGHTJAR_ACTIVITY_SLOTS: String(environment.slots ?? 1),
      NIGHTJAR_TRAINING_SLOTS: '1',
      FAULT_POINT: environment.point ?? 'never',
      FAULT_DIRECTORY: environment.directory ?? '',
    },
  });
}

export interface Supervisor {
  /** Signals that workers died of, in order. */
  deaths: NodeJS.Signals[];
  stop(): Promise<void>;
}

/** Keeps a worker running: another one as soon as it dies. */
export function superviseWorker(environment: WorkerEnvironment): Supervisor {
  const deaths: NodeJS.Signals[] = [];
  const stopping = new AbortController();
  let worker = spawnWorker(environment);
  const over = (async () => {
    for (;;) {
      const [, signal] = (await once(worker, 'exit')) as [number | null, NodeJS.Signals | null];
      if (stopping.signal.aborted) return;
      if (signal !== null) deaths.push(signal);
      worker = spawnWorker(environment);
    }
  })();
  return {
    deaths,
    stop: async () => {
      stopping.abort();
      worker.kill('SIGKILL');
      await over;
    },
  };
}

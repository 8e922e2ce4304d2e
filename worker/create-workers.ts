import { fileURLToPath } from 'node:url';
import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Environment } from '../config/environment.ts';
import { createActivities } from '../activities/index.ts';
import type { ActivityDependencies } from '../activities/support/run.ts';
import { TASK_QUEUES } from '../workflows/contracts.ts';

export interface WorkersOptions {
  connection: NativeConnection;
  namespace: string;
  environment: Environment;
  dependencies: ActivityDependencies;
  interceptors?: WorkerOptions['interceptors'];
  /** How pollers are called; see `temporal/pollers.ts`. */
  identity?: string;
}

/** Both queues' workers in one process. */
export interface Workers {
  /** Resolves when both have drained after `shutdown`; rejects when one of them fails. */
  run(): Promise<void>;
  shutdown(): void;
}

const WORKFLOWS = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

export async function createWorkers(options: WorkersOptions): Promise<Workers> {
  const { connection, namespace, environment, dependencies, interceptors, identity } = options;
  const common: WorkerOptions = {
    connection,
    namespace,
    taskQueue: TASK_QUEUES.pipeline,
    activities: createActivities(dependencies),
    shutdownGraceTime: environment.NIGHTJAR_SHUTDOWN_GRACE as '5s',
    shutdownForceTime: environment.NIGHTJAR_SHUTDOWN_FORCE as '15s',
    // The throttle also delays cancellation: at the default of 0.8 timeouts a stop took 14.8 s, so 0.26 s.
    maxHeartbeatThrottleInterval: '500ms',
    // How long a workflow waits for the worker that knew it before any other may take it: part of what a SIGKILL
    // costs. The default is 10 s; a worker that lives answers in milliseconds.
    stickyQueueScheduleToStartTimeout: '3s',
    interceptors,
    ...(identity === undefined ? {} : { identity }),
  };
  const workflows =
    environment.NIGHTJAR_WORKFLOW_BUNDLE === undefined
      ? { workflowsPath: WORKFLOWS }
      : { workflowBundle: { codePath: environment.NIGHTJAR_WORKFLOW_BUNDLE } };
  const workers = await Promise.all([
    Worker.create({
      ...common,
      ...workflows,
      maxConcurrentActivityTaskExecutions: environment.NIGHTJAR_ACTIVITY_SLOTS,
    }),
    Worker.create({
      ...common,
      taskQueue: TASK_QUEUES.training,
      maxConcurrentActivityTaskExecutions: environment.NIGHTJAR_TRAINING_SLOTS,
    }),
  ]);
  return {
    run: async () => {
      await Promise.all(workers.map((worker) => worker.run()));
    },
    shutdown: () => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    },
  };
}

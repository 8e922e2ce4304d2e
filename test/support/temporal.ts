import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { inject } from 'vitest';
import { createAlertChannels } from '../../activities/monitoring/channels/index.ts';
import { readEnvironment } from '../../config/environment.ts';
import { type TemporalClient, connectTemporal } from '../../temporal/connect.ts';
import { registerSearchAttributes } from '../../temporal/search-attributes.ts';
import { type Workers, createWorkers } from '../../worker/create-workers.ts';
import { createLogger, installRuntime } from '../../worker/logging.ts';
import { type TestDatabase, createTestDatabase } from './database.ts';
import { dependencies } from './runs.ts';

export interface TestTemporal {
  client: Client;
  address: string;
  namespace: string;
  close(): Promise<void>;
}

// The SDK's own lines are for whoever looks for a cause: LOG_LEVEL=info shows them.
installRuntime(createLogger(process.env.LOG_LEVEL ?? 'fatal'));

/** A namespace of its own for one test file: its workers take nobody else's tasks. */
export async function createTestTemporal(): Promise<TestTemporal> {
  const address = inject('temporalAddress');
  const namespace = `test-${randomUUID()}`;
  const admin = await connectTemporal({ connectionOptions: { address }, namespace: 'default' });
  await admin.connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  await admin.close();
  const temporal: TemporalClient = await connectTemporal({ connectionOptions: { address }, namespace });
  await eventually(() => registerSearchAttributes(temporal.connection, namespace));
  await eventually(() => temporal.client.workflow.count());
  return { client: temporal.client, address, namespace, close: () => temporal.close() };
}

/** A namespace takes seconds to be known to all parts of the server. */
async function eventually<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

export interface NightTest extends TestTemporal {
  database: TestDatabase;
}

/**
 * A database, a namespace and both queues' workers in this process, which has `variables` in its environment.
 * @param interceptors by which activities can be made to fail or to wait
 */
export async function startNightTest(
  variables: NodeJS.ProcessEnv = {},
  interceptors?: WorkerOptions['interceptors'],
): Promise<NightTest> {
  const [database, temporal] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  const native = await NativeConnection.connect({ address: temporal.address });
  const environment = readEnvironment({
    DATABASE_URL: database.url,
    NIGHTJAR_SHUTDOWN_GRACE: '100ms',
    ...variables,
  });
  const workers: Workers = await createWorkers({
    connection: native,
    namespace: temporal.namespace,
    environment,
    dependencies: { ...dependencies(database), channels: createAlertChannels(environment) },
    interceptors,
  });
  const running = workers.run();
  return {
    ...temporal,
    database,
    close: async () => {
      workers.shutdown();
      await running;
      await native.close();
      await temporal.close();
      await database.drop();
    },
  };
}

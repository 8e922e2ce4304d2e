import { UsageError } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import { migrateToLatest } from '../../database/migrate.ts';
import { type Stack, startStack } from '../../stack/index.ts';
import { type TemporalClient, connectTemporal, temporalTarget } from '../../temporal/connect.ts';
import { listPollers } from '../../temporal/pollers.ts';
import { registerSearchAttributes } from '../../temporal/search-attributes.ts';
import { type WorkerProcess, startWorkerProcess } from './worker-process.ts';

/** Servers, a worker and a client on this machine. */
export interface LocalStack extends Stack {
  databaseUrl: string;
  temporal: TemporalClient;
  /** Null where we attached to a stack that has its own. */
  worker: WorkerProcess | null;
  /** Rejects when a server or the worker ends by itself. */
  lost: Promise<never>;
}

/**
 * Brings up what a night needs: the servers that the environment does not name, the schema, and a worker.
 * What was started is stopped again where a later step fails.
 */
export async function startLocalStack(log: (line: string) => void): Promise<LocalStack> {
  const stack = await startStack({ log });
  let worker: WorkerProcess | null = null;
  let temporal: TemporalClient | null = null;
  const stop = async (): Promise<void> => {
    await temporal?.close();
    await worker?.stop();
    await stack.stop();
  };
  try {
    const { databaseUrl, temporalAddress, temporalNamespace } = stack;
    if (databaseUrl === null || temporalAddress === null)
      throw new Error('the stack came up without its servers');
    await migrate(databaseUrl);
    temporal = await connectTemporal(
      temporalTarget({
        ...process.env,
        TEMPORAL_ADDRESS: temporalAddress,
        TEMPORAL_NAMESPACE: temporalNamespace,
      }),
    );
    await registerSearchAttributes(temporal.connection, temporalNamespace);
    if (process.env.TEMPORAL_ADDRESS && !process.env.DATABASE_URL)
      await assertNobodyPolls(temporal, temporalNamespace);
    if (!stack.attached) {
      worker = await startWorkerProcess(
        stack.logDirectory,
        { databaseUrl, temporalAddress, namespace: temporalNamespace },
        log,
      );
    }
    const lost = Promise.race([stack.lost, worker === null ? never() : workerLost(worker)]);
    lost.catch(() => undefined);
    return { ...stack, databaseUrl, temporal, worker, lost, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * A worker beside others takes tasks of nights whose rows are in their database.
 * @throws where there are others, and ours would have the local database
 */
async function assertNobodyPolls(temporal: TemporalClient, namespace: string): Promise<void> {
  const others = (await listPollers(temporal, namespace)).filter(({ alive }) => alive);
  if (others.length === 0) return;
  throw new UsageError(
    `TEMPORAL_ADDRESS names a server on which workers of another database are at work (${others[0].identity}): name it in DATABASE_URL too`,
  );
}

async function migrate(url: string): Promise<void> {
  const connection = connect({ url, applicationName: 'nightjar-migrate', max: 1 });
  try {
    await migrateToLatest(connection.db);
  } finally {
    await connection.close();
  }
}

async function workerLost(worker: WorkerProcess): Promise<never> {
  throw new Error(await worker.ended);
}

function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

import { UsageError } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import { migrateToLatest } from '../../database/migrate.ts';
import { type Stack, startStack } from '../../stack/index.ts';
import { type TemporalClient, connectTemporal, temporalTarget } from '../../temporal/connect.ts';
import { listPollers, worksFor } from '../../temporal/pollers.ts';
import { registerSearchAttributes } from '../../temporal/search-attributes.ts';
import { readDatabaseId } from './database.ts';
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
export async function startLocalStack(
  log: (line: string) => void,
  { env = process.env, stateDirectory }: { env?: NodeJS.ProcessEnv; stateDirectory?: string } = {},
): Promise<LocalStack> {
  const stack = await startStack({ log, env, stateDirectory });
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
        ...env,
        TEMPORAL_ADDRESS: temporalAddress,
        TEMPORAL_NAMESPACE: temporalNamespace,
      }),
    );
    await registerSearchAttributes(temporal.connection, temporalNamespace);
    await assertOneDatabase(temporal, temporalNamespace, databaseUrl);
    if (!stack.attached) {
      worker = await startWorkerProcess(
        stack.logDirectory,
        { databaseUrl, temporalAddress, namespace: temporalNamespace },
        log,
        env,
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
 * A worker takes tasks of every night on its server, also of those whose rows are in another database.
 * @throws where workers of another database are at work there
 */
async function assertOneDatabase(temporal: TemporalClient, namespace: string, url: string): Promise<void> {
  const database = await readDatabaseId(url);
  const others = (await listPollers(temporal, namespace)).filter(
    (poller) => poller.alive && !worksFor(poller, database),
  );
  if (others.length === 0) return;
  throw new UsageError(
    `workers of another database are at work on this Temporal server (${others[0].identity}): name theirs in DATABASE_URL, or another server or namespace`,
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

/** Waits while other commands use these servers, or until this one is to stop all the same. */
export async function untilUnused(
  stack: LocalStack,
  stopped: Promise<void>,
  say: (line: string) => void,
): Promise<void> {
  const users = stack.users();
  if (users.length === 0) return;
  say(
    `another command (process ${users[0]}) uses these servers: they stay up until it ends; Ctrl-C ends them now`,
  );
  const ending = new AbortController();
  void stopped.then(() => ending.abort());
  while (!ending.signal.aborted && stack.users().length > 0)
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 500))]);
}

async function workerLost(worker: WorkerProcess): Promise<never> {
  throw new Error(await worker.ended);
}

function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

/** The worker process: configuration, connections, both queues' workers, shutdown. */

import { join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import { createAlertChannels } from '../activities/monitoring/channels/index.ts';
import { InputKeeper } from '../activities/training/kept-input.ts';
import { cacheDirectory } from '../config/cache.ts';
import { codeVersion } from '../config/code-version.ts';
import { loadDotEnv } from '../config/dot-env.ts';
import { readEnvironment } from '../config/environment.ts';
import { UsageError } from '../config/settings.ts';
import { assertAnswers, connect, describeDatabase } from '../database/connect.ts';
import { migrateToLatest } from '../database/migrate.ts';
import { databaseId } from '../database/readers.ts';
import { connectTemporal, temporalTarget } from '../temporal/connect.ts';
import { pollerIdentity } from '../temporal/pollers.ts';
import { registerSearchAttributes } from '../temporal/search-attributes.ts';
import { createWorkers } from './create-workers.ts';
import { createLogger, installRuntime } from './logging.ts';
import { yieldBackend, yieldToOtherSessions } from './precedence.ts';

/** What a worker without its parent may still take. */
const ORPHAN_MILLISECONDS = 2_000;

const HELP = `Usage: worker

Runs workflows and activities until SIGTERM or Ctrl-C, for the servers that DATABASE_URL and TEMPORAL_ADDRESS name.
docs/configuration.md lists every variable.

Examples:
  npm run worker
  NIGHTJAR_TRAINING_SLOTS=2 npm run worker`;

async function main(): Promise<void> {
  if (process.argv.slice(2).includes('--help')) return console.log(HELP);
  loadDotEnv();
  const environment = readEnvironment();
  yieldToOtherSessions();
  await assertAnswers('DATABASE_URL', environment.DATABASE_URL);
  if (environment.SOURCE_DATABASE_URL !== undefined)
    await assertAnswers('SOURCE_DATABASE_URL', environment.SOURCE_DATABASE_URL);
  const log = createLogger(environment.LOG_LEVEL);
  installRuntime(log);

  const onConnectionError = (err: Error): void => log.warn({ err }, 'a database connection broke');
  const connection = connect({
    url: environment.DATABASE_URL,
    applicationName: 'nightjar-worker',
    max: environment.NIGHTJAR_POOL_SIZE,
    onConnectionError,
    onConnection: yieldBackend,
  });
  // A pool of its own in any case: ingestion holds a connection of each at a time.
  const source = connect({
    url: environment.SOURCE_DATABASE_URL ?? environment.DATABASE_URL,
    applicationName: 'nightjar-worker',
    onConnectionError,
    onConnection: yieldBackend,
  });
  const target = temporalTarget();
  const client = await connectTemporal(target);
  const native = await NativeConnection.connect(target.connectionOptions);
  try {
    const migrated = await migrateToLatest(connection.db);
    const unregistered = await registerSearchAttributes(client.connection, target.namespace);
    if (unregistered !== null)
      log.warn(
        { searchAttributes: unregistered },
        'this server leaves search attributes to its administrator',
      );
    const channels = createAlertChannels(environment);
    const version = codeVersion(environment.NIGHTJAR_CODE_VERSION);
    const workers = await createWorkers({
      connection: native,
      namespace: target.namespace,
      environment,
      identity: pollerIdentity(await databaseId(connection.db)),
      dependencies: {
        connection,
        source,
        cacheFolder: join(cacheDirectory(process.env), 'snapshots'),
        inputs: new InputKeeper(),
        threads: environment.NIGHTJAR_THREADS,
        codeVersion: version,
        channels,
      },
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        log.info({ signal }, 'draining');
        workers.shutdown();
      });
    }
    // From a parent that died: its servers go too, and there is little left to drain for.
    process.on('disconnect', () => {
      log.warn('the process that started this worker is gone');
      workers.shutdown();
      setTimeout(() => process.exit(1), ORPHAN_MILLISECONDS).unref();
    });
    const running = workers.run();
    log.info(
      {
        database: describeDatabase(environment.DATABASE_URL),
        version,
        migrated,
        alerts: channels.map(({ name }) => name),
      },
      'worker is ready',
    );
    // A parent that started us over IPC waits for this.
    process.send?.('ready');
    await running;
    log.info('worker has drained');
  } finally {
    await native.close();
    await client.close();
    await source.close();
    await connection.close();
  }
}

main().then(
  // The IPC channel to a parent would keep the process alive.
  () => process.exit(0),
  (error: unknown) => {
    const isUnexpected = process.env.NIGHTJAR_DEBUG === '1' || !(error instanceof Error);
    console.error(isUnexpected ? error : `worker: ${error.message}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);

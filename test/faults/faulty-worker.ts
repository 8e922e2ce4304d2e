/**
 * A worker that kills itself, once in every activity of the night: before the activity begins, inside the
 * transaction that would end it, or after its commit and before its completion is told. Or one that in that transaction,
 * in the activity that a file names, is held up by a statement that takes a minute, or stops itself. Which, and where the
 * deaths and that file are kept, comes from the environment.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import type pg from 'pg';
import { readEnvironment } from '../../config/environment.ts';
import { connect } from '../../database/connect.ts';
import { createWorkers } from '../../worker/create-workers.ts';
import { createLogger, installRuntime } from '../../worker/logging.ts';
import { InputKeeper } from '../../activities/training/kept-input.ts';
import { HELD_FILE } from './activities.ts';

export type Point = 'before' | 'middle' | 'after' | 'held' | 'stopped' | 'never';

const point = (process.env.FAULT_POINT ?? 'never') as Point;
const deaths = process.env.FAULT_DIRECTORY ?? '';
const held = join(deaths, HELD_FILE);
const environment = readEnvironment();

/** Dies here and now, unless it has died here before. */
function die(activity: string): void {
  const file = join(deaths, `${point} ${activity}`);
  if (existsSync(file)) return;
  writeFileSync(file, String(process.pid));
  process.kill(process.pid, 'SIGKILL');
}

/** The activity that a query is sent for. */
const current = new AsyncLocalStorage<string>();

/** `runGate silver`, `evaluateTwin als rank=3 …`: one name for each call that the night makes. */
function nameOf(type: string, input: unknown): string {
  const { scope, configuration } = input as {
    scope?: string;
    configuration?: { family: string; rank?: number };
  };
  const which =
    scope ?? (configuration === undefined ? '' : `${configuration.family} ${configuration.rank ?? ''}`);
  return `${type} ${which}`.trim();
}

installRuntime(createLogger('fatal'));
const connection = connect({
  url: environment.DATABASE_URL,
  applicationName: 'nightjar-faulty',
  max: environment.NIGHTJAR_POOL_SIZE,
});

// The last transaction of a stage marks it done; those of the ledger are one each.
const LAST = /update "pipeline"\."(stages|runs)" set "status"|insert into "pipeline"\."runs"/;
if (point === 'middle' || point === 'held' || point === 'stopped') {
  connection.pool.on('connect', (client: pg.PoolClient) => {
    const send = client.query.bind(client) as (...args: unknown[]) => unknown;
    let last = false;
    client.query = ((...args: unknown[]) => {
      const text = typeof args[0] === 'string' ? args[0] : ((args[0] as { text?: string }).text ?? '');
      if (LAST.test(text)) last = true;
      const ending = text === 'commit' && last;
      if (text === 'commit' || text === 'rollback') last = false;
      if (ending && point === 'middle') die(current.getStore() ?? 'nobody');
      const named = ending && point !== 'middle' && readFileSync(held, 'utf8') === current.getStore();
      if (named && point === 'held')
        return (send('select pg_sleep(60)') as Promise<unknown>).then(() => send(...args));
      if (named) process.kill(process.pid, 'SIGSTOP');
      return send(...args);
    }) as typeof client.query;
  });
}

const native = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
const workers = await createWorkers({
  connection: native,
  namespace: process.env.TEMPORAL_NAMESPACE ?? 'default',
  environment,
  dependencies: {
    connection,
    source: connection,
    // Beside the bundle: workers of a test share it, and it is gone with the test's folder.
    cacheFolder:
      environment.NIGHTJAR_WORKFLOW_BUNDLE === undefined
        ? null
        : join(dirname(environment.NIGHTJAR_WORKFLOW_BUNDLE), 'snapshots'),
    inputs: new InputKeeper(),
    threads: 2,
    codeVersion: 'test',
    channels: [],
    // Trainings of a test take a second or two.
    checkpointSeconds: 0.2,
  },
  interceptors: {
    activity: [
      (context) => ({
        inbound: {
          execute: async (input, next) => {
            const name = nameOf(context.info.activityType, input.args[0]);
            if (point === 'before') die(name);
            const result: unknown = await current.run(name, () => next(input));
            if (point === 'after') die(name);
            return result;
          },
        },
      }),
    ],
  },
});
process.on('SIGTERM', () => workers.shutdown());
process.on('disconnect', () => process.exit(1));
const running = workers.run();
process.send?.('ready');
await running;
await connection.close();
process.exit(0);

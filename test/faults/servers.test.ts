import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle, isGrpcServiceError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateRatings } from '../../data/generate.ts';
import { type Connection, connect } from '../../database/connect.ts';
import { type RunDigest, digestRun } from '../../database/digest.ts';
import { migrateToLatest } from '../../database/migrate.ts';
import { outcomeOf, startNight } from '../../scripts/support/start-night.ts';
import { type TemporalClient, connectTemporal } from '../../temporal/connect.ts';
import { registerSearchAttributes } from '../../temporal/search-attributes.ts';
import type { NightlyResult } from '../../workflows/contracts.ts';
import { createTestDatabase } from '../support/database.ts';
import { type TestServer, startPostgres, startTemporal } from '../support/servers.ts';
import { createTestTemporal } from '../support/temporal.ts';
import { HELD_FILE } from './activities.ts';
import { type WorkerEnvironment, bundleWithShortTimeouts, spawnWorker } from './supervisor.ts';

// Servers that are not embedded: started apart, given by the environment; PostgreSQL 15 where Debian's is installed.
let postgres: TestServer;
let temporal: TestServer;
let client: TemporalClient;
let bundle: string;
let undisturbed: RunDigest;

let database: Connection;
let databaseUrl: string;
let nights = 0;
const workers: ChildProcess[] = [];
const AS_OF = '2026-02-01T00:00:00.000Z';
const SOURCE = { ratings: 20_000, seed: 42, end: new Date('2026-01-31') };

/** Trainings of some seconds, so that something can happen to them. */
const LONG = [
  'challengers=[{"family":"als","rank":200,"iterations":20,"regularization":0.1,"seed":42},{"family":"als","rank":4,"iterations":3,"regularization":0.1,"seed":42}]',
  'quality.minimumRatings=10',
  'alarm.rmseThreshold=10',
];

beforeAll(async () => {
  [postgres, temporal, bundle] = await Promise.all([
    startPostgres(),
    startTemporal(),
    bundleWithShortTimeouts(),
  ]);
  client = await connectTemporal({ connectionOptions: { address: temporal.address }, namespace: 'default' });
  await registerSearchAttributes(client.connection, 'default');
  await makeDatabase();
  const worker = await startWorker();
  undisturbed = await finishedDigest(await start());
  await endWorker(worker);
  await database.close();
});
afterAll(async () => {
  rmSync(dirname(bundle), { recursive: true });
  await client.close();
  await temporal.stop();
  await postgres.stop();
});
beforeEach(makeDatabase);
afterEach(async () => {
  for (const worker of workers.splice(0))
    if (worker.exitCode === null && worker.signalCode === null) await endWorker(worker);
  await database.close();
});

async function makeDatabase(): Promise<void> {
  const admin = connect({ url: postgres.address, applicationName: 'nightjar-test', max: 1 });
  const name = `night_${++nights}`;
  await admin.pool.query(`create database ${name}`);
  await admin.close();
  const url = new URL(postgres.address);
  url.pathname = `/${name}`;
  databaseUrl = url.toString();
  database = connect({ url: databaseUrl, applicationName: 'nightjar-test', max: 4 });
  await migrateToLatest(database.db);
  await generateRatings(database, SOURCE);
}

/** With short timeouts, unless the ones of production are what is looked at. */
async function startWorker(
  timeouts: 'short' | 'real' = 'short',
  fault: Pick<WorkerEnvironment, 'point' | 'directory'> = {},
): Promise<ChildProcess> {
  const worker = spawnWorker({
    databaseUrl,
    temporalAddress: temporal.address,
    namespace: 'default',
    bundle: timeouts === 'short' ? bundle : '',
    ...fault,
  });
  workers.push(worker);
  await once(worker, 'message');
  return worker;
}

async function endWorker(worker: ChildProcess): Promise<void> {
  const exited = once(worker, 'exit');
  worker.kill('SIGKILL');
  await exited;
}

/** Each night of this file has its own workflow id: they share a namespace and an as-of. */
function start(): Promise<WorkflowHandle> {
  return client.client.workflow.start('nightlyPipeline', {
    workflowId: `night-${nights}`,
    taskQueue: 'nightjar',
    args: [{ asOf: AS_OF, profile: 'small', overrides: LONG }],
  });
}

/** The outcome, asked for again while the server is away. */
async function outcome(handle: WorkflowHandle): Promise<NightlyResult> {
  for (;;) {
    try {
      return await outcomeOf(handle, handle.result() as Promise<NightlyResult>);
    } catch (error) {
      if (
        !isGrpcServiceError(error) &&
        !(error instanceof Error && /connect|UNAVAILABLE/i.test(error.message))
      )
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function finishedDigest(handle: WorkflowHandle): Promise<RunDigest> {
  const found = await outcome(handle);
  expect(found, found.reason).toMatchObject({ status: 'success', published: true });
  const { rows } = await database.pool.query('select count(*) as logs from pipeline.run_log');
  expect(rows).toEqual([{ logs: 1 }]);
  return digestRun(database.db, found.run);
}

const training = `select 1 from pipeline.stages where stage like 'evaluate als rank=200%' and status = 'running'`;
const checkpointed = 'select 1 from pipeline.checkpoints';

/** Waits until a query finds something, looking every few milliseconds. */
async function until(query: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while ((await database.pool.query(query)).rows.length === 0) {
    if (Date.now() > deadline) throw new Error(`nothing was found within a minute by: ${query}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function tokenOf(stage: string): Promise<number> {
  const { rows } = await database.pool.query<{ token: number }>(
    `select token from pipeline.stages where stage like $1`,
    [stage],
  );
  return rows[0].token;
}

test('a night on them is the same as on the embedded ones', async () => {
  const [embedded, namespace] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  await generateRatings(embedded, SOURCE);
  const worker = spawnWorker({
    databaseUrl: embedded.url,
    temporalAddress: namespace.address,
    namespace: namespace.namespace,
    bundle,
  });
  try {
    const handle = await startNight(namespace.client, { asOf: AS_OF, profile: 'small', overrides: LONG });
    const { run } = await handle.result();
    const version = async ({ pool }: Connection) =>
      (await pool.query<{ server_version: string }>('show server_version')).rows[0].server_version;
    console.log(`PostgreSQL ${await version(database)} apart, ${await version(embedded)} embedded`);
    expect((await digestRun(embedded.db, run)).tables).toEqual(undisturbed.tables);
  } finally {
    worker.kill('SIGKILL');
    await namespace.close();
    await embedded.drop();
  }
});

test('PostgreSQL is restarted while the source is read', async () => {
  // Ratings that come slowly: a statement of a second or two.
  await database.pool.query(`
    alter table movielens.ratings rename to stored;
    create function movielens.slowly(movielens.stored) returns boolean language plpgsql volatile as
      $$ begin if random() < 0.005 then perform pg_sleep(0.02); end if; return true; end $$;
    create view movielens.ratings as select * from movielens.stored s where movielens.slowly(s)`);
  await startWorker('real');
  const handle = await start();
  await until(
    `select 1 from pg_stat_activity where query ilike '%movielens.ratings%' and state = 'active' and wait_event = 'PgSleep'`,
  );
  await postgres.restart('SIGINT');
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
  expect(await tokenOf('bronze')).toBeGreaterThan(1);
});

test.each(['SIGINT', 'SIGKILL'] as const)('PostgreSQL is restarted with %s in training', async (signal) => {
  await startWorker('real');
  const handle = await start();
  await until(checkpointed);
  const since = (await database.pool.query<{ at: Date }>('select pg_postmaster_start_time() as at')).rows[0]
    .at;
  // Busy where it does not look whether its server lives: no other can be started until it has ended.
  const busy = database.pool.query('select count(*) from generate_series(1, 10000000)');
  busy.catch(() => undefined);
  await until(
    `select 1 from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()`,
  );
  await postgres.restart(signal);
  const { tables } = await finishedDigest(handle);
  // A crash empties what is unlogged: the batch, which is read again only where a stage still needs it.
  const survives = ([table]: [string, unknown]) => signal === 'SIGINT' || table !== 'bronze.ratings';
  const logged = (all: RunDigest['tables']) => Object.fromEntries(Object.entries(all).filter(survives));
  expect(logged(tables)).toEqual(logged(undisturbed.tables));
  const after = await database.pool.query<{ at: Date }>('select pg_postmaster_start_time() as at');
  expect(after.rows[0].at.getTime()).toBeGreaterThan(since.getTime());
});

test('the Temporal server is killed and restarted in mid-run', async () => {
  await startWorker();
  const handle = await start();
  await until(training);
  await temporal.restart('SIGKILL');
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
});

test('a worker killed in training: its successor resumes at the checkpoint', async () => {
  const worker = await startWorker('real');
  const handle = await start();
  await until(checkpointed);
  await endWorker(worker);
  expect(worker.signalCode).toBe('SIGKILL');
  const killed = performance.now();
  await startWorker('real');
  await until(`select 1 from pipeline.stages where stage like 'evaluate als rank=200%' and token = 2`);
  console.log(
    `killed in training, with the real timeouts: under way again after ${((performance.now() - killed) / 1000).toFixed(1)} s`,
  );
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
  expect(await tokenOf('evaluate als rank=200%')).toBe(2);
});

test('a worker stopped past its heartbeat timeout and woken while its successor works writes nothing', async () => {
  const stopped = await startWorker();
  const handle = await start();
  await until(checkpointed);
  stopped.kill('SIGSTOP');
  await startWorker();
  await until(`select 1 from pipeline.stages where stage like 'evaluate als rank=200%' and token = 2`);
  // Its successor is at work: from here on it may try what it likes.
  stopped.kill('SIGCONT');
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
  expect(stopped.exitCode).toBeNull();
  const { rows } = await database.pool.query(`
    select count(*) as twins from experiments.evaluations where configuration like 'als rank=200%'`);
  expect(rows).toEqual([{ twins: 1 }]);
});

test('a worker stopped inside a transaction holds its locks for half a minute at most', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nightjar-stopped-'));
  writeFileSync(join(directory, HELD_FILE), 'buildSilver');
  const stopped = await startWorker('short', { point: 'stopped', directory });
  const handle = await start();
  await until(`
    select 1 from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction' and now() - state_change > interval '1 s'`);
  await startWorker();
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
  stopped.kill('SIGCONT');
  rmSync(directory, { recursive: true });
  expect(await tokenOf('silver')).toBeGreaterThan(1);
});

test('SIGTERM in training: the worker drains and ends with code 0, the next one finishes the night', async () => {
  const worker = await startWorker();
  const handle = await start();
  await until(training);
  const exited = once(worker, 'exit');
  worker.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await startWorker();
  expect(await finishedDigest(handle)).toMatchObject({ digest: undisturbed.digest });
});

const CANCELLED_IN = [
  ['training', training],
  ['scoring', `select 1 from pipeline.stages where stage = 'recommendations' and status = 'running'`],
  ['the feature store', `select 1 from pipeline.stages where stage = 'gate-features'`],
] as const;

test.each(CANCELLED_IN)(
  'cancelled in %s: a log row, nothing left behind, and the next night runs',
  async (_name, stage) => {
    await startWorker();
    const handle = await start();
    await until(stage);
    const asked = performance.now();
    await handle.cancel();
    const failure: unknown = await handle.result().catch((error: unknown) => error);
    console.log(`cancelled in ${_name}: closed after ${((performance.now() - asked) / 1000).toFixed(2)} s`);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    const log = await database.db.selectFrom('pipeline.run_log').selectAll().execute();
    expect(log).toMatchObject([{ status: 'cancelled', published: false, reason: 'cancelled by request' }]);
    const { rows } = await database.pool.query(`
    select relname from pg_class where relkind = 'r' and relname ~ '_run[0-9]+$'
    union all select stage from pipeline.checkpoints
    union all select query from pg_stat_activity
      where application_name = 'nightjar-faulty' and datname = current_database() and state <> 'idle'`);
    expect(rows).toEqual([]);
    const next = await startNight(client.client, {
      asOf: '2026-02-02T00:00:00.000Z',
      profile: 'small',
      overrides: [...LONG, `similar.perMovie=${5 + (nights % 10)}`],
    });
    expect(await outcome(next)).toMatchObject({ status: 'success', published: true });
    await next.terminate().catch(() => undefined);
  },
);

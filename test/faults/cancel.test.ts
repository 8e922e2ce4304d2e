import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { outcomeOf, startNight } from '../../scripts/support/start-night.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { runScript, startScript } from '../support/scripts.ts';
import { fillSource } from '../support/source.ts';
import { SMALL } from '../support/stages.ts';
import { type TestTemporal, createTestTemporal } from '../support/temporal.ts';
import { ACTIVITIES, HELD_FILE } from './activities.ts';
import { bundleWithShortTimeouts, spawnWorker } from './supervisor.ts';

let database: TestDatabase;
let temporal: TestTemporal;
let worker: ChildProcess;
let bundle: string;
const directory = mkdtempSync(join(tmpdir(), 'nightjar-held-'));
const table: string[] = [];
let day = 0;

beforeAll(async () => {
  [database, temporal, bundle] = await Promise.all([
    createTestDatabase(),
    createTestTemporal(),
    bundleWithShortTimeouts(),
  ]);
  await fillSource(database, 30, 20);
  hold('nothing');
  worker = spawnWorker({
    databaseUrl: database.url,
    temporalAddress: temporal.address,
    namespace: temporal.namespace,
    bundle,
    point: 'held',
    directory,
    slots: 8,
  });
  await once(worker, 'message');
});
afterAll(async () => {
  console.log(table.join('\n'));
  worker.kill('SIGKILL');
  for (const made of [directory, dirname(bundle)]) rmSync(made, { recursive: true });
  await temporal.close();
  await database.drop();
});

function hold(activity: string): void {
  writeFileSync(join(directory, HELD_FILE), activity);
}

const start = () =>
  startNight(temporal.client, {
    asOf: new Date(Date.UTC(2026, 1, ++day)).toISOString(),
    profile: 'small',
    overrides: SMALL,
  });

const heldStatements = async (): Promise<number> => {
  const { rows } = await database.pool.query<{ held: number }>(`
    select count(*) as held from pg_stat_activity
    where datname = current_database() and state = 'active' and query = 'select pg_sleep(60)'`);
  return rows[0].held;
};

/** What is not of a published version: partitions and checkpoints. */
async function leftBehind(): Promise<unknown[]> {
  const { rows } = await database.pool.query<{ what: string }>(`
    select relname as what from pg_class
    where relkind = 'r' and relname ~ '_run[0-9]+$'
      and substring(relname from '_run([0-9]+)$')::integer not in (select run from serving.versions)
    union all select stage from pipeline.checkpoints`);
  return rows.map(({ what }) => what);
}

// The ledger's own rows are written in one statement each: a cancellation waits for them.
const CANCELLABLE = ACTIVITIES.filter((activity) => !['beginRun', 'finishRun'].includes(activity));
/** After the pointer has moved, what is published stays published. */
const AFTER_PUBLISHING = ['retireVersions'];

const before = CANCELLABLE.filter((activity) => !AFTER_PUBLISHING.includes(activity));

test.each([...before, ...AFTER_PUBLISHING])(
  'cancelled in %s: its statement is cancelled, a log row, nothing left behind',
  async (activity) => {
    hold(activity);
    const handle = await start();
    await expect.poll(heldStatements, { timeout: 60_000, interval: 20 }).toBe(1);
    const asked = performance.now();
    await handle.cancel();
    const failure: unknown = await handle.result().catch((error: unknown) => error);
    const seconds = (performance.now() - asked) / 1000;
    // The statement would have held it for a minute.
    expect(await heldStatements()).toBe(0);
    expect(failure).toBeInstanceOf(WorkflowFailedError);
    const outcome = await outcomeOf(handle, handle.result());
    expect(outcome).toMatchObject({
      status: 'cancelled',
      published: AFTER_PUBLISHING.includes(activity),
      reason: 'cancelled by request',
    });
    const logs = await database.db
      .selectFrom('pipeline.run_log')
      .select(['status', 'published'])
      .where('run', '=', outcome.run)
      .execute();
    expect(logs).toEqual([{ status: 'cancelled', published: outcome.published }]);
    expect(await leftBehind()).toEqual([]);
    table.push(`cancelled in ${activity.padEnd(28)} closed after ${seconds.toFixed(2)} s`);
  },
);

test('Ctrl-C detaches from a night, which goes on; the command cancels it', async () => {
  hold('buildSilver');
  const env = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
  };
  const asOf = new Date(Date.UTC(2026, 1, ++day)).toISOString();
  const { process: following, finished } = startScript(
    ['pipeline', 'nightly', '--as-of', asOf, '--profile', 'small', ...SMALL.flatMap((set) => ['--set', set])],
    env,
  );
  let told = '';
  following.stderr?.on('data', (chunk: Buffer) => (told += chunk.toString()));
  await expect.poll(heldStatements, { timeout: 60_000, interval: 20 }).toBe(1);
  await expect.poll(() => told, { timeout: 20_000 }).toMatch(/✓ bronze gate/);
  following.kill('SIGINT');
  const detached = await finished;
  expect(detached.stderr).toContain(`detached; the night for ${asOf} goes on: npm run pipeline -- status`);
  expect(detached.code).toBe(1);
  expect(await heldStatements()).toBe(1);
  const status = await runScript('pipeline status --limit 1 --json', env);
  expect(JSON.parse(status.stdout)).toMatchObject([{ status: 'running', as_of: asOf }]);

  const { code, stdout } = await runScript('pipeline cancel --json', env);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ status: 'cancelled', published: false });
  const again = await runScript('pipeline cancel', env);
  expect(again).toMatchObject({
    code: 2,
    stderr: 'pipeline: no night is live: there is nothing to cancel\n',
  });
});

test('the night after all of them succeeds', async () => {
  hold('nothing');
  const handle = await start();
  expect(await outcomeOf(handle, handle.result())).toMatchObject({ status: 'success', published: true });
  expect(await leftBehind()).toEqual([]);
});

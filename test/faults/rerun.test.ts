import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DIGESTED_TABLES, type RunDigest, digestRun } from '../../database/digest.ts';
import { outcomeOf, startNight } from '../../scripts/support/start-night.ts';
import type { rerunNight } from '../../workflows/index.ts';
import { createTestDatabase } from '../support/database.ts';
import { fillSource, insertRatings } from '../support/source.ts';
import { SMALL } from '../support/stages.ts';
import { createTestTemporal } from '../support/temporal.ts';
import { ACTIVITIES } from './activities.ts';
import type { Point } from './faulty-worker.ts';
import { bundleWithShortTimeouts, spawnWorker, superviseWorker } from './supervisor.ts';

const REQUEST = { asOf: '2026-02-01T00:00:00.000Z', profile: 'small', overrides: SMALL };
/** A rerun enters no run, and re-opens one. */
const RERUN_ACTIVITIES = [
  ...ACTIVITIES.filter((name) => name !== 'beginRun'),
  'reopenRun',
  'dropUndone',
].sort();

let bundle: string;
let undisturbed: RunDigest['tables'];

interface Rerun {
  tables: RunDigest['tables'];
  died: string[];
  signals: NodeJS.Signals[];
}

/** A night over a source with a row that no gate lets through; mended, it is gone on with while workers die at `point`. */
async function rerunWithDeaths(point: Point): Promise<Rerun> {
  const [database, temporal] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  const directory = mkdtempSync(join(tmpdir(), 'nightjar-deaths-'));
  const { address: temporalAddress, namespace, client } = temporal;
  const environment = { databaseUrl: database.url, temporalAddress, namespace, bundle };
  await fillSource(database, 30, 20);
  await insertRatings(database, [[null, 1, 4, '2026-01-01 00:00:00']]);
  const first = spawnWorker(environment);
  const night = await startNight(client, REQUEST);
  const failed = await outcomeOf(night, night.result());
  expect(failed, failed.reason).toMatchObject({ run: 1, status: 'failed', failed_stage: 'bronze gate' });
  // Its alert has gone its way: what is killed from here on is at work for the rerun.
  const told = `WorkflowType = 'deliverAlerts' and ExecutionStatus = 'Completed'`;
  while ((await client.workflow.count(told)).count < 1) await setTimeout(100);
  const gone = once(first, 'exit');
  first.kill('SIGKILL');
  await gone;
  await database.pool.query('delete from movielens.ratings where user_id is null');

  const workers = superviseWorker({ ...environment, point, directory });
  try {
    const handle = await client.workflow.start<typeof rerunNight>('rerunNight', {
      workflowId: 'rerun',
      taskQueue: 'nightjar',
      args: [{ run: 1, from: 'source gate', actor: 'ada' }],
    });
    const outcome = await outcomeOf(handle, handle.result());
    expect(outcome, outcome.reason).toMatchObject({ run: 1, status: 'success', published: true });
    const { rows } = await database.pool.query(`
      select (select count(*) from pipeline.run_log) as logs,
             (select count(*) from pipeline.reopenings) as reopenings,
             (select count(*) from pipeline.alerts) as alerts,
             (select count(*) from models.champions where retired_at is null) as champions,
             (select count(*) from serving.versions) as versions,
             (select count(*) from pipeline.checkpoints) as checkpoints`);
    // The alert is that of the night that failed.
    expect(rows).toEqual([{ logs: 1, reopenings: 1, alerts: 1, champions: 1, versions: 1, checkpoints: 0 }]);
    const untold = DIGESTED_TABLES.filter(({ table }) => table !== 'pipeline.alerts');
    const { tables } = await digestRun(database.db, 1, untold);
    const died = readdirSync(directory).map((file) => file.replace(`${point} `, ''));
    return { tables, died: died.sort(), signals: workers.deaths };
  } finally {
    await workers.stop();
    rmSync(directory, { recursive: true });
    await temporal.close();
    await database.drop();
  }
}

beforeAll(async () => {
  bundle = await bundleWithShortTimeouts();
  undisturbed = (await rerunWithDeaths('never')).tables;
});
afterAll(() => rmSync(dirname(bundle), { recursive: true }));

// Side by side: most of their time they wait for a death to be noticed.
test.concurrent.each(['before', 'middle', 'after'] as const)(
  'a worker killed in every activity of a rerun, %s (of) its commit: the same digests, one log row, one champion',
  { timeout: 600_000 },
  async (point) => {
    const found = await rerunWithDeaths(point);
    expect(found.died).toEqual(RERUN_ACTIVITIES);
    expect(found.signals).toEqual(RERUN_ACTIVITIES.map(() => 'SIGKILL'));
    expect(found.tables).toEqual(undisturbed);
  },
);

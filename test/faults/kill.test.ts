import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunDigest, digestRun } from '../../database/digest.ts';
import { outcomeOf, startNight } from '../../scripts/support/start-night.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { fillSource } from '../support/source.ts';
import { SMALL } from '../support/stages.ts';
import { type TestTemporal, createTestTemporal } from '../support/temporal.ts';
import { ACTIVITIES } from './activities.ts';
import type { Point } from './faulty-worker.ts';
import { bundleWithShortTimeouts, superviseWorker } from './supervisor.ts';

const AS_OF = '2026-02-01T00:00:00.000Z';
let bundle: string;
let undisturbed: RunDigest;

interface Night {
  digest: RunDigest;
  /** Activities in which a worker died. */
  died: string[];
  signals: NodeJS.Signals[];
}

async function counts(database: TestDatabase) {
  const { rows } = await database.pool.query(`
    select (select count(*) from pipeline.run_log) as logs,
           (select count(*) from pipeline.alerts) as alerts,
           (select count(*) from models.champions where retired_at is null) as champions,
           (select count(*) from serving.versions) as versions,
           (select count(*) from pipeline.checkpoints) as checkpoints`);
  return rows[0] as Record<string, number>;
}

/** A first night over the same source in a database and namespace of its own, with deaths at `point`. */
async function night(point: Point): Promise<Night> {
  const [database, temporal] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  const directory = mkdtempSync(join(tmpdir(), 'nightjar-deaths-'));
  await fillSource(database, 30, 20);
  const { address, namespace, client } = temporal;
  const workers = superviseWorker({
    databaseUrl: database.url,
    temporalAddress: address,
    namespace,
    bundle,
    point,
    directory,
  });
  try {
    const handle = await startNight(client, { asOf: AS_OF, profile: 'small', overrides: SMALL });
    const outcome = await outcomeOf(handle, handle.result());
    expect(outcome, outcome.reason).toMatchObject({ status: 'success', published: true, as_of: AS_OF });
    expect(await counts(database)).toEqual({ logs: 1, alerts: 0, champions: 1, versions: 1, checkpoints: 0 });
    const died = readdirSync(directory).map((file) => file.replace(`${point} `, ''));
    return { digest: await digestRun(database.db, outcome.run), died: died.sort(), signals: workers.deaths };
  } finally {
    await workers.stop();
    rmSync(directory, { recursive: true });
    await close(temporal, database);
  }
}

async function close(temporal: TestTemporal, database: TestDatabase): Promise<void> {
  await temporal.close();
  await database.drop();
}

beforeAll(async () => {
  bundle = await bundleWithShortTimeouts();
  undisturbed = (await night('never')).digest;
});

const table: string[] = [];

// Side by side: most of their time they wait for a death to be noticed.
test.concurrent.each(['before', 'middle', 'after'] as const)(
  'a worker killed in every activity, %s (of) its commit: the same digests, one log row, one champion',
  { timeout: 600_000 },
  async (point) => {
    const found = await night(point);
    expect(found.died).toEqual(ACTIVITIES);
    // The proof that each of them really was a death.
    expect(found.signals).toEqual(ACTIVITIES.map(() => 'SIGKILL'));
    expect(found.digest.tables).toEqual(undisturbed.tables);
    expect(found.digest.digest).toBe(undisturbed.digest);
    table.push(
      ...found.died.map((activity) => `${point.padEnd(7)} ${activity.padEnd(28)} SIGKILL  same digests`),
    );
  },
);

afterAll(() => {
  rmSync(dirname(bundle), { recursive: true });
  console.log(table.join('\n'));
});

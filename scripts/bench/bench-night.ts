/** The course of a measurement: source, servers, nights, yardsticks. */

import { execFile } from 'node:child_process';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { type Change, type ChangeOptions, changeSource } from '../../bench/night/change.ts';
import { tableSizes } from '../../bench/night/database-figures.ts';
import { touchFreeMemory } from '../../bench/night/free-memory.ts';
import { chooseKeys } from '../../bench/night/readers.ts';
import type { ReadPlan } from '../../bench/night/reads.ts';
import {
  type Machine,
  type NightFigures,
  type NightReport,
  describeMachine,
} from '../../bench/night/report.ts';
import { type SparkNight, prepareForSpark, runSpark } from '../../bench/night/spark.ts';
import { measureYardstick } from '../../bench/night/yardstick.ts';
import { type Connection, type Db, connect } from '../../database/connect.ts';
import { startLocalStack } from '../support/local-stack.ts';
import { measureNight } from './measure-night.ts';
import { type NightServers, copyDatabase, dropDatabase, startNightServers } from './servers.ts';
import { NEWEST_RATING, type WantedSource, findSource } from './source.ts';

export interface NightBench {
  /** Where sources are kept from call to call. */
  directory: string;
  source: WantedSource;
  profile: string;
  overrides: string[];
  /** Whether the source is made anew. */
  fresh: boolean;
  /** Share of the source that changes before the night that is reported. */
  change: number | null;
  readers: Pick<ReadPlan, 'connections' | 'readsPerSecond'> | null;
  /** Folder of the Spark program. */
  spark: string | null;
}

/** Databases that the nights work in, ours and Spark's: copies of the source, dropped at the end. */
const DATABASES = { night: 'night', spark: 'spark' };
const HOUR = 3_600_000;
const FIRST = new Date(NEWEST_RATING.getTime() + 2 * HOUR);
const NEXT = new Date(FIRST.getTime() + 24 * HOUR);
const THIRD = new Date(NEXT.getTime() + 24 * HOUR);

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Brings up what a measurement needs, measures, and takes all down again but the source. */
export async function benchNight(bench: NightBench): Promise<NightReport> {
  const load = loadavg()[0];
  const servers = await startNightServers(bench.directory, say);
  try {
    const source = await findSource(servers, bench.source, { fresh: bench.fresh, say });
    await copyDatabase(servers.admin.db, source, DATABASES.night);
    const ours = await benchOurs(servers, bench, load);
    await dropDatabase(servers.admin.db, DATABASES.night);
    const { spark } = bench;
    return { ...ours, spark: spark === null ? null : await benchSpark(servers, bench.source, source, spark) };
  } finally {
    for (const name of Object.values(DATABASES))
      await dropDatabase(servers.admin.db, name).catch(() => undefined);
    await servers.stop();
  }
}

async function benchOurs(
  servers: NightServers,
  bench: NightBench,
  load: number,
): Promise<Omit<NightReport, 'spark'>> {
  const url = servers.urlOf(DATABASES.night);
  const { directory } = servers;
  const started = await startLocalStack(say, {
    env: {
      ...servers.env,
      DATABASE_URL: url,
      NIGHTJAR_WORKFLOW_BUNDLE: await bundleWorkflows(directory),
    },
    stateDirectory: directory,
  });
  const lost = Promise.race([started.lost, servers.lost]);
  lost.catch(() => undefined);
  const local = { ...started, lost };
  const connection = connect({ url, applicationName: 'nightjar-bench', max: 2 });
  try {
    const { db } = connection;
    const { profile, overrides, change: share, readers } = bench;
    const measure = (asOf: Date, reads?: ReadPlan): Promise<NightFigures> =>
      measureNight(local, db, { asOf: asOf.toISOString(), profile, overrides, reads });
    const changed = (from: Date, to: Date): Promise<Change | null> =>
      share === null ? Promise.resolve(null) : changeDay(connection, { share, from, to });
    const readPlan = async (): Promise<ReadPlan | undefined> =>
      readers === null ? undefined : { url, ...readers, ...(await chooseKeys(db)) };
    await prepareMemory(bench.source, directory);
    const first = await measure(FIRST);
    const change = await changed(FIRST, NEXT);
    // Reads take an eighth of a machine with two processors: the night that is timed goes without, as Spark's does.
    const apart = share !== null && readers !== null;
    const next =
      share === null && readers === null ? null : await measure(NEXT, apart ? undefined : await readPlan());
    if (apart) await changed(NEXT, THIRD);
    const read = apart ? await measure(THIRD, await readPlan()) : null;
    const reported = next ?? first;
    return {
      ...reported,
      reads: (read ?? reported).reads,
      profile,
      change,
      first_night: next === null ? null : first,
      read_night: read,
      tables: await tableSizes(db),
      yardstick: await measureYardstick(db, availableParallelism()),
      machine: await machineOf(db, load),
    };
  } finally {
    await connection.close();
    await local.stop();
  }
}

/** What is between two nights: a day of the source. */
async function changeDay(connection: Connection, options: ChangeOptions): Promise<Change> {
  const change = await changeSource(connection, options);
  // As autovacuum does within a minute of such a day, here in the middle of the night that is measured.
  await sql`vacuum movielens.ratings`.execute(connection.db);
  say(`changed ${change.rows.toLocaleString('en')} rows of the source`);
  return change;
}

/** As production has it: a worker that bundles for itself takes 300 MB more, and keeps them. */
async function bundleWorkflows(directory: string): Promise<string> {
  const target = join(directory, 'workflow-bundle.js');
  const script = fileURLToPath(new URL('../../worker/bundle.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [script, target]);
  return target;
}

/** A night of fewer ratings needs little memory. */
const LARGE = 1_000_000;

/** Before our first night and before Spark's: to both the machine gives memory as soon as the other. */
async function prepareMemory(source: WantedSource, directory: string): Promise<void> {
  if (!('ratings' in source) || source.ratings < LARGE) return;
  const started = performance.now();
  const bytes = await touchFreeMemory(directory);
  const seconds = (performance.now() - started) / 1000;
  say(`used ${(bytes / 2 ** 30).toFixed(1)} GB of free memory once, in ${seconds.toFixed(1)} s`);
}

async function benchSpark(
  servers: NightServers,
  wanted: WantedSource,
  source: string,
  folder: string,
): Promise<SparkNight> {
  await copyDatabase(servers.admin.db, source, DATABASES.spark);
  const url = servers.urlOf(DATABASES.spark);
  const connection = connect({ url, applicationName: 'nightjar-bench', max: 1 });
  try {
    await prepareForSpark(connection.db);
    await sql`checkpoint`.execute(connection.db);
    await prepareMemory(wanted, servers.directory);
  } finally {
    await connection.close();
  }
  say(`the Spark night of ${folder} runs`);
  return runSpark(folder, url, process.env);
}

async function machineOf(db: Db, load: number): Promise<Machine> {
  const { rows } = await sql<{ server_version: string }>`show server_version`.execute(db);
  return describeMachine(cpus(), totalmem(), load, {
    node: process.versions.node,
    postgres: rows[0].server_version.split(' ')[0],
  });
}

import { cpus, loadavg, totalmem } from 'node:os';
import { sql } from 'kysely';
import { describeMachine, nightTable, stageTable, type NightReport } from '../../bench/night/report.ts';
import { tableSizes } from '../../bench/night/database-figures.ts';
import { UsageError, resolveSettings } from '../../config/settings.ts';
import { type Db, connect } from '../../database/connect.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { startLocalStack } from '../support/local-stack.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';
import { untilStopped } from '../support/until-stopped.ts';
import { measureNight } from './measure-night.ts';
import {
  type NightServers,
  benchDirectory,
  copyDatabase,
  dropDatabase,
  startNightServers,
} from './servers.ts';
import { NEWEST_RATING, type WantedSource, checkSource, findSource } from './source.ts';

/** The database that the measured nights work in. */
const DATABASE = 'night';
const RATINGS = 25_000_000;
const HOUR = 3_600_000;
/** From here on the profile of production lets a source pass. */
const PRODUCTION_RATINGS = 10_000_000;

interface NightGiven {
  ratings?: number;
  data?: string;
  profile?: string;
  set: string[];
  fresh?: boolean;
  json?: boolean;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

export const night = createCommand(
  'night',
  'Time a whole night on servers of its own: through a Temporal server and a worker process, as in production.',
  [
    'npm run bench -- night --ratings 1000000',
    'npm run bench -- night --data ../shared/data/ml-latest-small --json',
  ],
)
  .option(
    '--ratings <count>',
    `how many to generate; ${RATINGS.toLocaleString('en')} by default`,
    integer(1_000, 32_000_000),
  )
  .option('--data <folder>', 'a MovieLens folder instead of generated ratings')
  .option('--fresh', 'make the source anew, where an earlier call has left one')
  .option(
    '--profile <name>',
    'named set of defaults; production from 10 million generated ratings on, else small',
  )
  .addOption(options.set())
  .addOption(options.json())
  .action(async (given: NightGiven) => {
    if (given.data !== undefined && given.ratings !== undefined)
      throw new UsageError('expected --ratings or --data, not both');
    const wanted: WantedSource =
      given.data === undefined ? { ratings: given.ratings ?? RATINGS } : { data: given.data };
    const profile = given.profile ?? profileFor(wanted);
    resolveSettings(profile, given.set);
    await checkSource(wanted);
    const stopped = untilStopped();
    const report = await stopped.or(
      withServers((servers) => benchNight(servers, wanted, { ...given, profile })),
      'stopped',
    );
    if (given.json === true) return print(report);
    for (const { head, rows } of [stageTable(report), nightTable(report)]) console.log(table(head, rows));
  });

function profileFor(wanted: WantedSource): string {
  return 'ratings' in wanted && wanted.ratings >= PRODUCTION_RATINGS ? 'production' : 'small';
}

async function withServers<Result>(body: (servers: NightServers) => Promise<Result>): Promise<Result> {
  const servers = await startNightServers(say);
  try {
    return await body(servers);
  } finally {
    await dropDatabase(servers.admin.db, DATABASE).catch(() => undefined);
    await servers.stop();
  }
}

async function benchNight(
  servers: NightServers,
  wanted: WantedSource,
  given: NightGiven & { profile: string },
): Promise<NightReport> {
  const source = await findSource(servers, wanted, { fresh: given.fresh ?? false, say });
  await copyDatabase(servers.admin.db, source, DATABASE);
  const url = servers.urlOf(DATABASE);
  const local = await startLocalStack(say, {
    env: { ...servers.env, DATABASE_URL: url },
    stateDirectory: benchDirectory(process.env),
  });
  const connection = connect({ url, applicationName: 'nightjar-bench', max: 2 });
  try {
    const { db } = connection;
    const machine = describeMachine(cpus(), totalmem(), loadavg()[0], {
      node: process.versions.node,
      postgres: await serverVersion(db),
    });
    const asOf = new Date(NEWEST_RATING.getTime() + 2 * HOUR).toISOString();
    const figures = await measureNight(local, db, {
      asOf,
      profile: given.profile,
      overrides: given.set,
    });
    return { ...figures, profile: given.profile, tables: await tableSizes(db), machine };
  } finally {
    await connection.close();
    await local.stop();
  }
}

async function serverVersion(db: Db): Promise<string> {
  const { rows } = await sql<{ server_version: string }>`show server_version`.execute(db);
  return rows[0].server_version.split(' ')[0];
}

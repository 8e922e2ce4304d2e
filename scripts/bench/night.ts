import { join, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { MIXTURE_NOTE, nightTable, stageTable } from '../../bench/night/night-tables.ts';
import { checkSpark } from '../../bench/night/spark.ts';
import { cacheDirectory } from '../../config/cache.ts';
import { UsageError, resolveSettings } from '../../config/settings.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';
import { untilStopped } from '../support/until-stopped.ts';
import { type NightBench, benchNight } from './bench-night.ts';
import { type WantedSource, checkSource } from './source.ts';

const RATINGS = 25_000_000;
/** From here on the profile of production lets a source pass. */
const PRODUCTION_RATINGS = 10_000_000;
const READERS = 8;
const READS_PER_SECOND = 200;

interface NightGiven {
  ratings?: number;
  data?: string;
  cache?: string;
  fresh?: boolean;
  profile?: string;
  set: string[];
  change?: number;
  readers?: number | true;
  readsPerSecond?: number;
  spark?: string;
  json?: boolean;
}

export const night = createCommand(
  'night',
  'Time a whole night on servers of its own, through a Temporal server and a worker process as in production.',
  [
    'npm run bench -- night --ratings 1000000',
    'npm run bench -- night --change 1% --readers',
    'npm run bench -- night --data ../shared/data/ml-latest-small --json',
    'PG_JAR=postgresql.jar npm run bench -- night --spark ../shared/peers',
  ],
)
  .option(
    '--ratings <count>',
    `how many to generate; ${RATINGS.toLocaleString('en')} by default`,
    integer(1_000, 32_000_000),
  )
  .option('--data <folder>', 'a MovieLens folder instead of generated ratings')
  .option(
    '--cache <folder>',
    "where sources are kept from call to call; bench-night in the machine's cache by default",
  )
  .option('--fresh', 'make the source anew, where an earlier call has left one')
  .option(
    '--profile <name>',
    'named set of defaults; production from 10 million generated ratings on, else small',
  )
  .addOption(options.set())
  .option(
    '--change <share>',
    'measure the next night, after a change of that share of the source, such as 1%',
    parseShare,
  )
  .option(
    '--readers [connections]',
    `measure point reads while the next night runs, or with --change the one after it; from ${READERS} connections by default`,
    integer(1, 64),
  )
  .option(
    '--reads-per-second <count>',
    `by all connections together; ${READS_PER_SECOND} by default`,
    integer(1, 10_000),
  )
  .option(
    '--spark <folder>',
    "then run the Spark night of that folder on the same data; python3 with pyspark and java in PATH, PostgreSQL's JDBC driver in PG_JAR",
  )
  .addOption(options.json())
  .action(async (given: NightGiven) => {
    const bench = readGiven(given);
    await checkSource(bench.source);
    const stopped = untilStopped();
    const report = await stopped.or(benchNight(bench), 'stopped');
    if (given.json === true) return print(report);
    for (const { head, rows } of [stageTable(report), nightTable(report)]) console.log(table(head, rows));
    if (report.change !== null) console.log(MIXTURE_NOTE);
  });

/** @throws UsageError where options contradict each other or a setting is none */
function readGiven(given: NightGiven): NightBench {
  if (given.data !== undefined && given.ratings !== undefined)
    throw new UsageError('expected --ratings or --data, not both');
  if (given.readsPerSecond !== undefined && given.readers === undefined)
    throw new UsageError('--reads-per-second: expected with --readers only');
  const source: WantedSource =
    given.data === undefined ? { ratings: given.ratings ?? RATINGS } : { data: given.data };
  const profile = given.profile ?? profileFor(source);
  resolveSettings(profile, given.set);
  if (given.spark !== undefined) checkSpark(given.spark, process.env);
  return {
    directory: resolve(given.cache ?? join(cacheDirectory(process.env), 'bench-night')),
    source,
    profile,
    overrides: given.set,
    fresh: given.fresh ?? false,
    change: given.change ?? null,
    readers:
      given.readers === undefined
        ? null
        : {
            connections: given.readers === true ? READERS : given.readers,
            readsPerSecond: given.readsPerSecond ?? READS_PER_SECOND,
          },
    spark: given.spark ?? null,
  };
}

function profileFor(source: WantedSource): string {
  return 'ratings' in source && source.ratings >= PRODUCTION_RATINGS ? 'production' : 'small';
}

/** Beyond this a night is another source rather than a change of one. */
const LARGEST_PERCENTAGE = 20;

function parseShare(text: string): number {
  const percentage = Number(/^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]);
  if (!(percentage > 0 && percentage <= LARGEST_PERCENTAGE))
    throw new InvalidArgumentError(`expected a share above 0% and up to ${LARGEST_PERCENTAGE}%, such as 1%`);
  return percentage / 100;
}

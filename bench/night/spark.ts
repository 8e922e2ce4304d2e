/** The notebook's night as a Spark program: a yardstick where it is at hand, no part of the project. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { UsageError } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';

export interface SparkNight {
  /** All stages of the program, its start included, waiting for a quiet machine not. */
  wall_seconds: number;
  peak_rss_mb: number;
  spark: string;
  stages: { name: string; seconds: number }[];
}

const PROGRAM = 'spark_nightly.py';
/** What one machine with two processors is best with, by the program's own notes. */
const BLOCKS = 4;

/**
 * Whether the program can be run from here: python3 with pyspark first in PATH, Java, and the JDBC driver in PG_JAR.
 * @throws UsageError that names what is missing
 */
export function checkSpark(folder: string, env: NodeJS.ProcessEnv): void {
  const refuse = (what: string): never => {
    throw new UsageError(`--spark ${folder}: ${what}`);
  };
  if (!existsSync(join(folder, PROGRAM))) refuse(`expected a folder that has ${PROGRAM}`);
  if (!env.PG_JAR || !existsSync(env.PG_JAR)) refuse("expected PostgreSQL's JDBC driver, a .jar, in PG_JAR");
  const runs = (command: string, ...args: string[]): boolean =>
    spawnSync(command, args, { env, stdio: 'ignore' }).status === 0;
  if (!runs('python3', '-c', 'import pyspark')) refuse('expected a python3 in PATH that has pyspark');
  if (!runs('java', '-version')) refuse('expected java in PATH');
}

/** Gives the source the keys that the program's own loader makes, and the schemas that it writes to. */
export async function prepareForSpark(db: Db): Promise<void> {
  for (const schema of ['features', 'models', 'recommendations', 'experiments', 'pipeline'])
    await db.schema.createSchema(schema).ifNotExists().execute();
  await sql`alter table movielens.movies add primary key (movie_id)`.execute(db);
  await sql`alter table movielens.ratings add primary key (user_id, movie_id)`.execute(db);
  await sql`vacuum analyze movielens.ratings, movielens.movies`.execute(db);
}

/**
 * Runs the program on a database.
 * @throws where it fails, with the last lines that it said
 */
export async function runSpark(folder: string, url: string, env: NodeJS.ProcessEnv): Promise<SparkNight> {
  const scratch = mkdtempSync(join(tmpdir(), 'nightjar-spark-'));
  try {
    const out = join(scratch, 'result.json');
    const { username, hostname, port, pathname } = new URL(url);
    const args = [
      PROGRAM,
      ...['--jdbc', `jdbc:postgresql://${hostname}:${port}${pathname}`],
      // The local stack trusts every local user; the program wants a password all the same.
      ...['--user', username, '--password', 'none', '--blocks', String(BLOCKS), '--out', out],
    ];
    const program = spawn('python3', args, {
      cwd: folder,
      env: { ...env, SPARK_TMP: scratch, QUIET_WAIT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const end = (): void => void program.kill();
    process.once('exit', end);
    let said = '';
    program.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)));
    const [code] = (await once(program, 'close')) as [number | null];
    process.off('exit', end);
    if (code !== 0) throw new Error(`the Spark night ended with code ${String(code)}: ${said.trim()}`);
    return readSparkResult(readFileSync(out, 'utf8'));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What the program's result file says. */
export function readSparkResult(text: string): SparkNight {
  const { total_timed_s, peak_jvm_rss_mb, spark, stages } = JSON.parse(text) as {
    total_timed_s: number;
    peak_jvm_rss_mb: number;
    spark: string;
    stages: { stage: string; wall_s: number }[];
  };
  return {
    wall_seconds: total_timed_s,
    peak_rss_mb: peak_jvm_rss_mb,
    spark,
    stages: stages.map(({ stage, wall_s }) => ({ name: stage, seconds: wall_s })),
  };
}

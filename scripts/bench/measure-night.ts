import { cpus } from 'node:os';
import { sql } from 'kysely';
import { busyMilliseconds } from '../../bench/night/busy-time.ts';
import { countRatings, stageFigures } from '../../bench/night/database-figures.ts';
import { readExecutionTimes } from '../../bench/night/execution-times.ts';
import { forgetPeak, parentOf, peakMegabytes, watchServer } from '../../bench/night/memory.ts';
import { type ProcessorTime, othersShare, processorTime } from '../../bench/night/processor-time.ts';
import { startReaders } from '../../bench/night/readers.ts';
import type { ReadPlan } from '../../bench/night/reads.ts';
import { type NightFigures, nameSlowReads } from '../../bench/night/report.ts';
import type { Db } from '../../database/connect.ts';
import { readDatabaseId } from '../support/database.ts';
import { followNight } from '../support/follow.ts';
import type { LocalStack } from '../support/local-stack.ts';
import { outcomeOf, startNight } from '../support/start-night.ts';

export interface NightToMeasure {
  asOf: string;
  profile: string;
  overrides: string[];
  /** Reads that go on from before its start to after its end. */
  reads?: ReadPlan;
}

/**
 * Runs a night and measures it.
 * @throws where it does not end in success
 */
export async function measureNight(
  local: LocalStack,
  db: Db,
  { reads: plan, ...request }: NightToMeasure,
): Promise<NightFigures> {
  const ratings = await countRatings(db);
  const database = await readDatabaseId(local.databaseUrl);
  const worker = local.worker?.pid();
  if (worker === undefined) throw new Error('the night has no worker of its own to be measured');
  // What was written before the night began is not the night's to write out.
  await sql`checkpoint`.execute(db);
  await forgetPeak(worker);
  const watched = watchServer(await postmasterOf(db));
  const before = await processorTime(process.pid);
  const began = performance.now();
  const read = plan === undefined ? null : startReaders(plan);
  const handle = await startNight(local.temporal.client, { ...request, database });
  const ended = outcomeOf(handle, followNight(handle, { stream: process.stderr, lost: local.lost }));
  const outcome = await ended.catch(async (error: unknown) => {
    await Promise.all([watched(), read?.()]).catch(() => undefined);
    throw error;
  });
  const after = await processorTime(process.pid);
  const seconds = (performance.now() - began) / 1000;
  const reads = read === null ? null : await read();
  const postgres_memory = await watched();
  if (outcome.status !== 'success')
    throw new Error(
      `the night ended with ${outcome.status}, and only a whole one can be measured: ${outcome.reason}`,
    );
  if (local.worker?.pid() !== worker)
    throw new Error('the worker died and was started again: no figure holds; its log says why');
  const { whole, activities } = await readExecutionTimes(local.temporal.client, {
    workflowId: handle.workflowId,
    runId: handle.firstExecutionRunId,
  });
  const wall = whole.to - whole.from;
  const stages = await stageFigures(db, outcome.run);
  return {
    ratings,
    wall_seconds: wall / 1000,
    orchestration_seconds: (wall - busyMilliseconds(whole, activities)) / 1000,
    activities: activities.length,
    worker_peak_rss_mb: await peakMegabytes(worker),
    postgres_memory,
    ...processorFigures(before, after, seconds),
    stages: stages.map(({ name, seconds: took, rows }) => ({ name, seconds: took, rows })),
    reads: reads === null ? null : nameSlowReads(reads, stages),
  };
}

function processorFigures(
  before: ProcessorTime | null,
  after: ProcessorTime | null,
  seconds: number,
): Pick<NightFigures, 'processor_seconds' | 'others_share'> {
  if (before === null || after === null) return { processor_seconds: null, others_share: null };
  return {
    processor_seconds: after.own - before.own,
    others_share: othersShare(before, after, { seconds, processors: cpus().length }),
  };
}

/** The process that all of the server's are children of; 0 where its processes are not to be seen from here. */
async function postmasterOf(db: Db): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
  return (await parentOf(rows[0].pid)) ?? 0;
}

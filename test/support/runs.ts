import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { resolveSettings, settingsHash } from '../../config/settings.ts';
import type { Connection } from '../../database/connect.ts';
import type { ActivityDependencies } from '../../activities/support/run.ts';
import { InputKeeper } from '../../activities/training/kept-input.ts';

/** Enters a live run in the ledger, so that activities can be tried one by one; returns its number. */
export async function insertRun(
  { db }: Connection,
  options: { asOf: string; overrides?: string[]; mayPublish?: boolean },
): Promise<number> {
  const settings = resolveSettings('small', options.overrides);
  const { run } = await db
    .insertInto('pipeline.runs')
    .values({
      as_of: new Date(options.asOf),
      profile: 'small',
      settings_hash: settingsHash(settings),
      settings: JSON.stringify(settings),
      // What `callActivity` works for.
      workflow_id: 'test',
      execution_id: 'test',
      namespace_id: 'test',
      status: 'running',
      may_publish: options.mayPublish ?? true,
      code_version: 'test',
    })
    .returning('run')
    .executeTakeFirstOrThrow();
  return run;
}

/** Closes a run of `insertRun`, so that another may be entered. */
export async function closeRun({ db }: Connection, run: number, status: 'success' | 'failed' = 'success') {
  await db
    .updateTable('pipeline.runs')
    .set({ status, finished_at: new Date() })
    .where('run', '=', run)
    .execute();
}

/** Copies of snapshots, gone with the process. */
const CACHE = mkdtempSync(join(tmpdir(), 'nightjar-snapshots-'));
process.on('exit', () => rmSync(CACHE, { recursive: true, force: true }));

/** One for all, as in a worker: memory of the engine that is left is not seen by the garbage collector. */
const INPUTS = new InputKeeper();

export function dependencies(connection: Connection): ActivityDependencies {
  return {
    connection,
    source: connection,
    cacheFolder: CACHE,
    inputs: INPUTS,
    threads: 2,
    codeVersion: 'test',
    channels: [],
  };
}

/** What an activity throws is looked at by the test that called it. */
const silent = new DefaultLogger('ERROR', () => undefined);

/** Calls an activity inside the SDK's own activity environment, which gives it a context to beat in. */
export function callActivity<Input, Result>(
  activity: (input: Input) => Promise<Result>,
  input: Input,
): Promise<Result> {
  return new MockActivityEnvironment({}, { logger: silent }).run(activity, input);
}

/** Good nights of the past that found what `like` has found, each statistic as `value` (SQL) says; one for each as-of. */
export async function insertGoodNights(
  { pool }: Connection,
  {
    like,
    asOf,
    value = 'value',
    settings = {},
  }: { like: number; asOf: string[]; value?: string; settings?: object },
): Promise<void> {
  await pool.query(
    `with nights as (
       insert into pipeline.runs (as_of, profile, settings_hash, settings, workflow_id, execution_id, namespace_id,
                                  status, may_publish, code_version)
       select unnest($1::timestamptz[]), 'small', 'past', $2, 'past', 'past', 'past', 'success', false, 'test'
       returning run
     )
     insert into quality.source_statistics (run, statistic, value)
     select nights.run, statistic, ${value} from nights, quality.source_statistics s where s.run = $3`,
    [asOf, JSON.stringify(settings), like],
  );
}

/** Takes the nights of `insertGoodNights` out again. */
export async function forgetGoodNights({ pool }: Connection): Promise<void> {
  await pool.query(`
    delete from quality.source_statistics where run in (select run from pipeline.runs where workflow_id = 'past');
    delete from pipeline.runs where workflow_id = 'past'`);
}

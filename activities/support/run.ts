import type { Connection, Db } from '../../database/connect.ts';
import { type Settings, readSettings } from '../../config/settings.ts';
import type { AlertChannel } from '../monitoring/channels/channel.ts';
import type { InputKeeper } from '../training/kept-input.ts';
import { terminalFailure } from './failures.ts';

/** What every activity of a night is told: which run it works for. All else it reads from the ledger. */
export interface RunReference {
  run: number;
}

/** What activities are built from; nothing reaches for a global. */
export interface ActivityDependencies {
  /** The pipeline's own database. */
  connection: Connection;
  /** The source, read only; the same database unless configured otherwise. */
  source: Connection;
  /** Where this host keeps copies of snapshots; none where it is null. */
  cacheFolder: string | null;
  /** What numeric activities leave for each other in this process's memory. */
  inputs: InputKeeper;
  /** Worker threads that one numeric activity may use. */
  threads: number;
  /** Version of the code that computes, for the ledger and the models' metadata. */
  codeVersion: string;
  /** Ways by which alerts reach people. */
  channels: AlertChannel[];
  /** Least seconds between two checkpoints of a training; the trainer's own default where it is not given. */
  checkpointSeconds?: number;
}

/** A run as its activities see it. */
export interface Run {
  run: number;
  asOf: Date;
  /** When the run was entered in the ledger; the only clock that a check may look at. */
  startedAt: Date;
  profile: string;
  settings: Settings;
  mayPublish: boolean;
  codeVersion: string;
}

/**
 * Reads a run from the ledger.
 * @throws RunNotLive where there is none of that number
 */
export async function loadRun(db: Db, run: number): Promise<Run> {
  const row = await db.selectFrom('pipeline.runs').selectAll().where('run', '=', run).executeTakeFirst();
  if (row === undefined)
    throw terminalFailure('RunNotLive', `run ${run} is not in the ledger; start a new run`);
  return {
    run,
    asOf: row.as_of,
    startedAt: row.started_at,
    profile: row.profile,
    settings: readSettings(row.profile, row.settings),
    mayPublish: row.may_publish,
    codeVersion: row.code_version,
  };
}

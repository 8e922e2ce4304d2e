import type { CheckStatus } from '../../database/types/index.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { assertMeant } from '../support/database.ts';
import { settingsOf } from '../support/settings.ts';
import { checks } from './checks.ts';
import { measureSourceRows } from './measure-bronze.ts';
import { measureSource } from './measure-source.ts';
import { judge, tryMeasure } from './run-gate.ts';

export interface CheckSourceInput {
  /** The instant that ages are measured from, ISO. */
  asOf: string;
  /** The instant after which a rating lies in the future, ISO. */
  startedAt: string;
  profile: string;
  overrides?: string[];
  database?: string;
}

export interface CheckReport {
  check: string;
  status: CheckStatus;
  message: string;
  /** The first offending rows. */
  sample: unknown[];
}

/** What can be said of the snapshot before there is one. */
const OF_THE_SNAPSHOT = ['snapshot_present', 'refused_share'];

/**
 * Runs the checks of the source, of its rows as they are now, and of the snapshot that they would make; writes
 * nothing.
 * @returns a line a check, in the order in which they are declared
 */
export async function checkSource(
  { connection, source }: ActivityDependencies,
  input: CheckSourceInput,
  signal: AbortSignal,
): Promise<CheckReport[]> {
  const settings = settingsOf(input);
  await assertMeant(connection, input.database);
  const ofTables = await tryMeasure(source, measureSource, signal);
  const instants = { asOf: new Date(input.asOf), startedAt: new Date(input.startedAt) };
  const ofRows = await tryMeasure(source, (db) => measureSourceRows(db, instants), signal);
  return checks
    .filter(({ name, scope }) => scope === 'source' || scope === 'bronze' || OF_THE_SNAPSHOT.includes(name))
    .map((check) => {
      const measured = check.scope === 'source' ? ofTables : ofRows;
      const { check_name, status, message } = judge(check, measured, { run: 0, settings });
      return { check: check_name, status, message, sample: measured(check.name).sample ?? [] };
    });
}

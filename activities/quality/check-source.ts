import { UsageError, resolveSettings } from '../../config/settings.ts';
import type { CheckStatus } from '../../database/types/index.ts';
import { terminalFailure } from '../support/failures.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { checks } from './checks.ts';
import { measureSourceRows } from './measure-bronze.ts';
import { measureSource } from './measure-source.ts';
import { judge, tryMeasure } from './run-gate.ts';

export interface CheckSourceInput {
  /** The instant that ages are measured from, ISO. */
  asOf: string;
  profile: string;
  overrides?: string[];
}

export interface CheckReport {
  check: string;
  status: CheckStatus;
  message: string;
}

/**
 * Runs the checks of the source and of its rows as they are now; writes nothing.
 * @returns a line a check, in the order in which they are declared
 */
export async function checkSource(
  { source }: ActivityDependencies,
  { asOf, profile, overrides }: CheckSourceInput,
): Promise<CheckReport[]> {
  const settings = settingsOf(profile, overrides);
  const ofTables = await tryMeasure(() => measureSource(source.db));
  const ofRows = await tryMeasure(() => measureSourceRows(source.db, new Date(asOf)));
  return checks
    .filter(({ scope }) => scope === 'source' || scope === 'bronze')
    .map((check) => {
      const measured = check.scope === 'source' ? ofTables : ofRows;
      const { check_name, status, message } = judge(check, measured, { run: 0, settings });
      return { check: check_name, status, message };
    });
}

function settingsOf(profile: string, overrides: string[] | undefined) {
  try {
    return resolveSettings(profile, overrides);
  } catch (error) {
    if (error instanceof UsageError) throw terminalFailure('InvalidSettings', error.message);
    throw error;
  }
}

import type { CheckStatus, GateScope } from '../../database/types/index.ts';
import type { Connection } from '../../database/connect.ts';
import { assertMeant } from '../support/database.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { settingsOf } from '../support/settings.ts';
import { checks } from './checks.ts';
import { measureHistory } from './history.ts';
import { judge } from './judge.ts';
import { measureSourceRows } from './measure-bronze.ts';
import { measureSource } from './measure-source.ts';
import { type Measured, tryMeasure } from './run-gate.ts';

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
  scope: GateScope;
  /** `later`: only a night can ask it, and none has. */
  status: CheckStatus | 'later';
  observed: number | null;
  /** What it would be held against now; null where it is not asked. */
  warn: number | null;
  error: number | null;
  message: string;
  /** The first offending rows, of what was looked at now. */
  sample: unknown[];
  /** The night whose result this is; null where it was looked at now. */
  run: number | null;
}

/** What can be said of the snapshot before there is one. */
const FORETOLD: Partial<Record<GateScope, string[]>> = {
  silver: [
    'snapshot_present',
    'duplicates',
    'refused_share',
    'volume_change',
    'mean_rating_drift',
    'rating_share_drift',
  ],
};
const HISTORY = ['volume_change', 'mean_rating_drift', 'rating_share_drift'];

/**
 * Runs the checks of the source, of its rows as they are now, and of the snapshot that they would make; of what only a
 * night can ask it gives the last night's answers. Writes nothing.
 * @returns a line a check, in the order in which they are declared
 */
export async function checkSource(
  { connection, source }: ActivityDependencies,
  input: CheckSourceInput,
  signal: AbortSignal,
): Promise<CheckReport[]> {
  const settings = settingsOf(input);
  await assertMeant(connection, input.database);
  const instants = { asOf: new Date(input.asOf), startedAt: new Date(input.startedAt) };
  const ofTables = await tryMeasure(source, measureSource, signal);
  const ofRows = await tryMeasure(source, (db) => measureSourceRows(db, instants), signal);
  const ofHistory = await tryMeasure(
    connection,
    async (db) => ({ checks: await measureHistory(db, ofRows.statistics, { ...instants, settings }) }),
    signal,
  );
  const lastResults = await readLastResults(connection);

  const measuredNow = (check: (typeof checks)[number]): Measured | undefined => {
    if (check.scope === 'source') return ofTables;
    if (check.scope === 'bronze') return ofRows;
    if (!(FORETOLD[check.scope] ?? []).includes(check.name)) return undefined;
    return HISTORY.includes(check.name) && ofRows.statistics !== undefined ? ofHistory : ofRows;
  };
  return checks.map((check): CheckReport => {
    const { warn, error } = settings.quality.thresholds[check.name];
    const common = { check: check.name, scope: check.scope, warn, error };
    const measured = measuredNow(check);
    if (measured !== undefined) {
      const { status, observed, message, sample } = judge(check, measured.of(check.name), settings);
      return { ...common, status, observed, message, sample, run: null };
    }
    const last = lastResults.get(check.name);
    return last === undefined
      ? {
          ...common,
          status: 'later',
          observed: null,
          message: `${check.name}: asked by a night, at its ${check.scope} gate`,
          sample: [],
          run: null,
        }
      : { ...common, ...last, sample: [] };
  });
}

/** What each check said the last time that a night came as far as it. */
async function readLastResults({ db }: Connection) {
  const rows = await db
    .selectFrom('quality.check_results')
    .distinctOn('check_name')
    .orderBy('check_name')
    .orderBy('run', 'desc')
    .select(['check_name', 'run', 'status', 'observed', 'message'])
    .execute();
  return new Map(rows.map(({ check_name, ...last }) => [check_name, last]));
}

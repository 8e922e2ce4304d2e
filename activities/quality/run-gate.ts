import type { Insertable } from 'kysely';
import pg from 'pg';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import type { CheckResults, GateScope } from '../../database/types/index.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Check, Measurements, Observation } from './check.ts';
import { checks as declaredChecks } from './checks.ts';
import { measureBronze } from './measure-bronze.ts';
import { measureFeatures, measureModel } from './measure-derived.ts';
import { measurePublish } from './measure-publish.ts';
import { measureSilver } from './measure-silver.ts';
import { measureSource } from './measure-source.ts';

export interface GateInput extends RunReference {
  scope: GateScope;
}

export interface GateResult extends StageResult {
  warned: string[];
  note: string;
}

const measures: Record<GateScope, (db: Db, run: Run) => Promise<Measurements>> = {
  source: measureSource,
  bronze: measureBronze,
  silver: measureSilver,
  features: measureFeatures,
  model: measureModel,
  publish: measurePublish,
};

/**
 * Runs all checks of a scope and keeps what they saw, before it decides.
 * @throws GateFailed with a sentence for each check of severity error that does not hold, could not run or
 *   looked at nothing
 */
export function runGate(
  dependencies: ActivityDependencies,
  { run, scope }: GateInput,
  signal: AbortSignal,
  checks: Check[] = declaredChecks,
): Promise<GateResult> {
  return runStage(dependencies.connection, { run, stage: `gate-${scope}`, signal }, async (attempt) => {
    const context = await loadRun(dependencies.connection.db, run);
    const looked = scope === 'source' ? dependencies.source : dependencies.connection;
    const measured = await tryMeasure(looked, (db) => measures[scope](db, context), signal);
    const results = checks
      .filter((check) => check.scope === scope)
      .map((check) => judge(check, measured, context));
    const failed = results.filter(({ status }) => status === 'failed');
    const keep = async (db: Db): Promise<void> => {
      await db
        .insertInto('quality.check_results')
        .values(results)
        .onConflict((conflict) =>
          conflict.columns(['run', 'check_name']).doUpdateSet((row) => ({
            status: row.ref('excluded.status'),
            observed: row.ref('excluded.observed'),
            message: row.ref('excluded.message'),
            sample: row.ref('excluded.sample'),
          })),
        )
        .execute();
    };
    if (failed.length > 0) {
      await attempt.write(({ db }) => keep(db));
      throw terminalFailure(
        'GateFailed',
        `run ${run}, ${scope} gate: ${failed.map(({ message }) => message).join('; ')}`,
        { checks: failed.map(({ check_name }) => check_name) },
      );
    }
    const warned = results.filter(({ status }) => status === 'warned').map(({ check_name }) => check_name);
    return attempt.finish(async ({ db }) => {
      await keep(db);
      const note = warned.length === 0 ? 'all hold' : `warned: ${warned.join(', ')}`;
      return { rows: results.length, warned, note };
    });
  });
}

/**
 * Measures a scope in one view of its database, cancelled with `signal`. A measurement that fails leaves each check
 * of its scope with the reason: a check that cannot run has failed.
 */
export async function tryMeasure(
  connection: Connection,
  measure: (db: Db) => Promise<Measurements>,
  signal: AbortSignal,
): Promise<(name: string) => Observation> {
  try {
    const measured = await transaction(connection, ({ db }) => measure(db), {
      signal,
      isolation: 'repeatable read',
    });
    return (name) => measured[name] ?? { observed: null, finding: 'it looked at nothing' };
  } catch (error) {
    if (!isOfTheQuery(error)) throw error;
    const finding = `it could not run: ${error instanceof Error ? error.message : String(error)}`;
    return () => ({ observed: null, finding });
  }
}

/**
 * Whether an error would come again however often the query is sent: SQLSTATE classes 21 to 23 and 42, of data
 * and of the query. Anything else (a connection lost, a server restarting) is worth a retry.
 */
function isOfTheQuery(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(2[123]|42)/.test(error.code ?? '');
}

/** What a check says about what was measured for it. */
export function judge(
  check: Check,
  measured: (name: string) => Observation,
  { run, settings }: Pick<Run, 'run' | 'settings'>,
): Insertable<CheckResults> {
  const severity = typeof check.severity === 'function' ? check.severity(settings) : check.severity;
  const { observed, finding, sample = [] } = measured(check.name);
  const expected = check.expected(settings);
  const holds = observed !== null && check.holds(observed, settings);
  // What could not be measured has failed, whatever its severity: silence is no proof.
  const status = holds ? 'passed' : severity === 'error' || observed === null ? 'failed' : 'warned';
  return {
    run,
    check_name: check.name,
    scope: check.scope,
    severity,
    status,
    observed,
    expected,
    message: holds
      ? `${check.name}: ${expected}`
      : `${check.name} expected ${expected}, found ${finding ?? format(observed)}${
          // What could not be measured says itself what is wrong.
          observed === null ? '' : `: ${check.remedy}`
        }`,
    sample: JSON.stringify(sample),
  };
}

function format(observed: number | null): string {
  return observed === null ? 'nothing' : Number(observed.toPrecision(6)).toLocaleString('en');
}

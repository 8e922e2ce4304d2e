import pg from 'pg';
import type { CheckName } from '../../config/checks.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { exportSnapshot, transaction } from '../../database/session.ts';
import type { GateScope } from '../../database/types/index.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Beside, Check, Measurements, Observation } from './check.ts';
import { checks as declaredChecks } from './checks.ts';
import { keepStatistics } from './history.ts';
import { type Judgement, judge } from './judge.ts';
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

const measures: Record<GateScope, (db: Db, run: Run, beside: Beside) => Promise<Measurements>> = {
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
    const measured = await tryMeasure(looked, (db, beside) => measures[scope](db, context, beside), signal);
    const results = checks
      .filter((check) => check.scope === scope)
      .map((check) => judge(check, measured.of(check.name), context.settings));
    const keep = async (db: Db): Promise<void> => {
      await keepResults(db, run, results);
      if (measured.statistics !== undefined) await keepStatistics(db, run, measured.statistics);
      if (measured.batch !== undefined)
        await db.updateTable('bronze.batches').set(measured.batch).where('_batch_id', '=', run).execute();
      if (measured.ratingCounts !== undefined)
        await db
          .updateTable('silver.snapshots')
          .set({ rating_counts: JSON.stringify(measured.ratingCounts) })
          .where('run', '=', run)
          .execute();
    };
    const failed = results.filter(({ status }) => status === 'failed');
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

/** An attempt that was repeated has the last word. */
async function keepResults(db: Db, run: number, results: Judgement[]): Promise<void> {
  await db
    .insertInto('quality.check_results')
    .values(results.map((result) => ({ run, ...result, sample: JSON.stringify(result.sample) })))
    .onConflict((conflict) =>
      conflict.columns(['run', 'check_name']).doUpdateSet((row) => ({
        status: row.ref('excluded.status'),
        observed: row.ref('excluded.observed'),
        expected: row.ref('excluded.expected'),
        message: row.ref('excluded.message'),
        sample: row.ref('excluded.sample'),
      })),
    )
    .execute();
}

/** What a measurement has to say to each check, and what is kept of it. */
export interface Measured extends Omit<Measurements, 'checks'> {
  of: (name: CheckName) => Observation;
}

/**
 * Measures a scope in one view of its database, cancelled with `signal`. A measurement that fails leaves each check
 * of its scope with the reason: a check that cannot run has failed.
 */
export async function tryMeasure(
  connection: Connection,
  measure: (db: Db, beside: Beside) => Promise<Measurements>,
  signal: AbortSignal,
): Promise<Measured> {
  try {
    const { checks, ...rest } = await transaction(
      connection,
      ({ db, client }) =>
        measure(db, async (body) => {
          const view = await exportSnapshot(client);
          return transaction(connection, (other) => body(other.db), { signal, ...view });
        }),
      { signal, isolation: 'repeatable read' },
    );
    return {
      ...rest,
      of: (name) => checks[name] ?? { observed: null, finding: 'nothing: it looked at no rows' },
    };
  } catch (error) {
    if (!isOfTheQuery(error)) throw error;
    const finding = `no answer: it could not run, ${error.message}`;
    return { of: () => ({ observed: null, finding }) };
  }
}

/**
 * Whether an error would come again however often the query is sent: SQLSTATE classes 21 to 23 and 42, of data
 * and of the query. Anything else (a connection lost, a server restarting) is worth a retry.
 */
function isOfTheQuery(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && /^(2[123]|42)/.test(error.code ?? '');
}

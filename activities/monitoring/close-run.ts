import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import type { AlertKind, RunStatus } from '../../database/types/index.ts';
import type { RunFailure, RunOutcome } from './outcome.ts';
import { readSettings } from '../../config/settings.ts';
import { servingChampion } from '../selection/champion.ts';
import { raiseAlert } from './alerts.ts';

const ALERT_OF_FAILURE: Record<string, AlertKind | undefined> = {
  GateFailed: 'gate_failed',
  Cancelled: undefined,
};

/**
 * Ends a run: its row in the ledger is closed and its one row in the run log written, in one transaction. A run
 * that is closed already stays as it is, and its outcome is returned.
 * @param workflowId whose run it is to be, where that is who asks: one that was re-opened is not ended by a late attempt
 *   of the workflow before
 */
export async function closeRun(
  connection: Connection,
  run: number,
  ending: RunFailure | { status: 'success' | 'blocked'; reason: string },
  workflowId?: string,
): Promise<RunOutcome> {
  return transaction(connection, async ({ db }) => {
    const closed = await db
      .updateTable('pipeline.runs')
      .set({ status: ending.status, finished_at: sql`clock_timestamp()` })
      .where('run', '=', run)
      .where('status', '=', 'running')
      .$if(workflowId !== undefined, (query) => query.where('workflow_id', '=', workflowId ?? ''))
      .executeTakeFirst();
    if (closed.numUpdatedRows > 0n) {
      await writeRunLog(db, run, ending);
      if ('type' in ending) {
        const kind = ending.type in ALERT_OF_FAILURE ? ALERT_OF_FAILURE[ending.type] : 'run_failed';
        if (kind !== undefined) await raiseAlert(db, { run, kind, message: ending.reason });
      }
      if (ending.status === 'blocked') {
        await raiseAlert(db, { run, kind: 'publish_blocked', message: ending.reason });
      }
    }
    return loadOutcome(db, run);
  });
}

async function writeRunLog(
  db: Db,
  run: number,
  ending: { status: Exclude<RunStatus, 'running'>; reason: string; failedStage?: string | null },
): Promise<void> {
  const ledger = await db
    .selectFrom('pipeline.runs')
    .selectAll()
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const model = await db.selectFrom('models.metadata').selectAll().where('run', '=', run).executeTakeFirst();
  const previous = await db
    .selectFrom('pipeline.run_log')
    .select(['run', 'rmse', 'mae', 'precision_at_10'])
    .where('as_of', '<', ledger.as_of)
    .where('rmse', 'is not', null)
    .orderBy('as_of', 'desc')
    .orderBy('run', 'desc')
    .executeTakeFirst();
  const stages = await db
    .selectFrom('pipeline.stages')
    .select(['stage', 'rows', sql<number | null>`extract(epoch from finished_at - started_at)`.as('seconds')])
    .where('run', '=', run)
    .where('status', '<>', 'undone')
    .orderBy('started_at')
    .execute();
  const champion = (await servingChampion(db))?.configuration ?? null;
  const promotion = await db
    .selectFrom('models.promotions')
    .select(['decision', 'from_configuration'])
    .where('run', '=', run)
    .where('decision', '<>', 'rollback')
    .orderBy('reopening', 'desc')
    .executeTakeFirst();
  const served = await db
    .selectFrom('serving.versions')
    .select('run')
    .where('run', '=', run)
    .executeTakeFirst();

  const rmseChange = change(model?.rmse, previous?.rmse);
  const { alarm } = readSettings(ledger.profile, ledger.settings);
  if (isDecided(ending.status) && rmseChange !== null && rmseChange > alarm.regressionMargin) {
    const message = `${model?.configuration ?? ''} has a holdout RMSE of ${metric(model?.rmse)}, worse by ${rmseChange.toFixed(4)} than ${metric(previous?.rmse)} of run ${previous?.run ?? ''}; the margin is ${alarm.regressionMargin}`;
    await raiseAlert(db, { run, kind: 'rmse_regression', message });
  }
  await db
    .insertInto('pipeline.run_log')
    .values({
      run,
      as_of: ledger.as_of,
      status: ending.status,
      run_at: ledger.started_at,
      duration_seconds: durationOf(db, ledger),
      model_version: model?.model_version ?? null,
      training_size: model?.training_size ?? null,
      rank: model?.rank ?? null,
      rmse: model?.rmse ?? null,
      mae: model?.mae ?? null,
      precision_at_10: model?.precision_at_10 ?? null,
      champion_before: promotion === undefined ? champion : promotion.from_configuration,
      champion_after: champion,
      published: served !== undefined,
      previous_run: previous?.run ?? null,
      rmse_change: rmseChange,
      mae_change: change(model?.mae, previous?.mae),
      precision_at_10_change: change(model?.precision_at_10, previous?.precision_at_10),
      failed_stage: ending.failedStage ?? null,
      reason: ending.reason,
      stages: JSON.stringify(stages),
    })
    .execute();
}

/** Seconds that the run was live, those before it was re-opened among them. */
function durationOf(db: Db, { run, live_since }: { run: number; live_since: Date }) {
  const before = db
    .selectFrom('pipeline.reopenings')
    .where('run', '=', run)
    .orderBy('reopening', 'desc')
    .limit(1)
    .select(sql<number>`(outcome ->> 'duration_seconds')::float8`.as('seconds'));
  return sql<number>`extract(epoch from clock_timestamp() - ${live_since}::timestamptz) + coalesce(${before}, 0)`;
}

function change(now: number | null | undefined, before: number | null | undefined): number | null {
  return typeof now === 'number' && typeof before === 'number' ? now - before : null;
}

const metric = (value: number | null | undefined): string => value?.toFixed(4) ?? 'n/a';

/** A night that came to its decision; the metrics of one that failed on its way say nothing about what is served. */
function isDecided(status: RunStatus): boolean {
  return status === 'success' || status === 'blocked';
}

/** The outcome of a run from its log, or what is known of a live one. */
export async function loadOutcome(db: Db, run: number): Promise<RunOutcome> {
  const row = await db
    .selectFrom('pipeline.runs as r')
    .leftJoin('pipeline.run_log as l', 'l.run', 'r.run')
    .where('r.run', '=', run)
    .select([
      'r.run',
      'r.as_of',
      'r.status',
      'r.workflow_id',
      'r.live_since',
      'l.published',
      'l.model_version',
      'l.champion_after',
    ])
    .select(['l.rmse', 'l.mae', 'l.precision_at_10', 'l.training_size', 'l.duration_seconds'])
    .select(['l.failed_stage', 'l.reason'])
    .executeTakeFirstOrThrow();
  const alerts = await db
    .selectFrom('pipeline.alerts')
    .select('kind')
    .where('run', '=', run)
    // What rang before it was re-opened was told with what it had come to then.
    .where('raised_at', '>=', row.live_since)
    .orderBy('alert_id')
    .execute();
  return {
    run: row.run,
    as_of: row.as_of.toISOString(),
    status: row.status,
    published: row.published ?? false,
    model_version: row.model_version,
    champion: row.champion_after,
    rmse: row.rmse,
    mae: row.mae,
    precision_at_10: row.precision_at_10,
    training_size: row.training_size,
    duration_seconds: row.duration_seconds,
    failed_stage: row.failed_stage,
    reason: row.reason ?? `run ${run} is live as workflow ${row.workflow_id}`,
    alerts: alerts.map(({ kind }) => kind),
  };
}

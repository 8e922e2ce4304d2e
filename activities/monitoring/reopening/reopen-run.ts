import { sql } from 'kysely';
import { type NightStage, NIGHT_STAGES, findStage, stagesAround } from '../../../config/stages.ts';
import { type Settings, readSettings } from '../../../config/settings.ts';
import type { Connection, Db } from '../../../database/connect.ts';
import { transaction } from '../../../database/session.ts';
import { OPERATOR_STAGE, findSelection } from '../../selection/result.ts';
import { assertMeant } from '../../support/database.ts';
import { terminalFailure } from '../../support/failures.ts';
import type { StageResult } from '../../support/stage.ts';
import { waitingAlerts } from '../alerts.ts';
import { type BegunRun, championBeside } from '../begin-run.ts';
import { closeLostRun } from '../lost-runs.ts';
import type { OwnTemporal } from '../own-temporal.ts';
import { assertReopenable, isLive, refusal } from './refuse.ts';
import { undoRows } from './undo.ts';

export interface ReopenRunInput {
  run: number;
  /** The stage to go on from, as people name it. */
  from: string;
  /** Who asks. */
  actor: string;
  database?: string;
  workflowId: string;
  executionId: string;
}

export interface ReopenedRun extends BegunRun, StageResult {
  asOf: string;
  note: string;
}

/** Who re-opens it, by what code, and from where on. */
interface Reopening extends ReopenRunInput {
  stage: NightStage;
  codeVersion: string;
  namespaceId: string;
}

/**
 * Makes a run live again that ended without success: its stages from one on are undone, those before stay done and
 * answer from the ledger. The row of the run log becomes part of the record of the re-opening.
 * @throws InvalidRequest where there is no such run or stage, RerunRefused where it cannot be; nothing is changed then
 */
export async function reopenRun(
  connection: Connection,
  temporal: OwnTemporal,
  codeVersion: string,
  input: ReopenRunInput,
): Promise<ReopenedRun> {
  const { run, executionId } = input;
  const stage = findStage(input.from);
  if (stage === undefined)
    throw terminalFailure(
      'InvalidRequest',
      `--from ${input.from}: there is no such stage; expected one of ${NIGHT_STAGES.join(', ')}`,
    );
  await assertMeant(connection, input.database);
  const namespaceId = await temporal.namespaceId();
  const found = await readLedger(connection.db, run);
  if (found.execution_id !== executionId) await assertEnded(connection, temporal, found, namespaceId);

  const reopened = await transaction(connection, async ({ db }) => {
    const ledger = await readLedger(db, run, true);
    // A lost completion: this workflow has re-opened it already.
    const own = ledger.execution_id === executionId;
    if (own && ledger.status !== 'running')
      throw refusal(run, `this workflow has re-opened it, and it has ended since; ask anew`);
    const settings = readSettings(ledger.profile, ledger.settings);
    if (!own) {
      await assertReopenable(db, ledger, stage);
      await undoRows(db, { run, settings }, stagesAround(stage).onwards);
      await openLedger(db, ledger, { ...input, stage, codeVersion, namespaceId });
    }
    return describe(db, ledger, settings, input.actor, stage);
  });
  return { ...reopened, alertsWaiting: await waitingAlerts(connection.db) };
}

/** @param lock whether nobody else may re-open it until the end of the transaction */
async function readLedger(db: Db, run: number, lock = false) {
  const row = await db
    .selectFrom('pipeline.runs')
    .selectAll()
    .where('run', '=', run)
    .$if(lock, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw terminalFailure('InvalidRequest', `--run ${run}: there is no such run`);
  return row;
}

type LedgerRow = Awaited<ReturnType<typeof readLedger>>;

/** That the workflow which has the run does nothing for it any more. A run that it left live was lost, and is closed here. */
async function assertEnded(
  connection: Connection,
  temporal: OwnTemporal,
  ledger: LedgerRow,
  namespaceId: string,
): Promise<void> {
  const { run, status, workflow_id: workflowId, execution_id: executionId } = ledger;
  // Only here can be asked; what another service still does for it is fenced off like any other late attempt.
  const here = ledger.namespace_id === namespaceId;
  const open = here && (await temporal.isOpen({ workflowId, executionId }));
  if (status === 'running') {
    if (open || !here) throw isLive(ledger);
    await closeLostRun(connection, run, workflowId);
  } else if (open) throw refusal(run, `its workflow ${workflowId} is still ending; ask again in a moment`);
}

async function openLedger(db: Db, ledger: LedgerRow, reopening: Reopening): Promise<void> {
  const { run } = ledger;
  const outcome = await db
    .selectFrom('pipeline.run_log')
    .select(sql`to_jsonb(run_log)`.as('row'))
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const { times } = await db
    .selectFrom('pipeline.reopenings')
    .where('run', '=', run)
    .select(({ fn }) => fn.countAll<number>().as('times'))
    .executeTakeFirstOrThrow();
  await db
    .insertInto('pipeline.reopenings')
    .values({
      run,
      reopening: times + 1,
      from_stage: reopening.stage,
      actor: reopening.actor,
      workflow_id: ledger.workflow_id,
      code_version: ledger.code_version,
      outcome: JSON.stringify(outcome.row),
    })
    .execute();
  await db.deleteFrom('pipeline.run_log').where('run', '=', run).execute();
  const readsAnew = stagesAround(reopening.stage).onwards.includes('bronze');
  await db
    .updateTable('pipeline.runs')
    .set({
      status: 'running',
      finished_at: null,
      live_since: sql`clock_timestamp()`,
      workflow_id: reopening.workflowId,
      execution_id: reopening.executionId,
      namespace_id: reopening.namespaceId,
      code_version: reopening.codeVersion,
      // Gates look at this clock: ratings that came since are of the future only for who read the source before them.
      ...(readsAnew ? { started_at: sql`clock_timestamp()` } : {}),
    })
    .where('run', '=', run)
    .execute();
}

/** The run as a night begins with it; where its decision stands, the champion's twin is not asked for again. */
async function describe(
  db: Db,
  { run, as_of }: LedgerRow,
  settings: Settings,
  actor: string,
  from: NightStage,
): Promise<ReopenedRun> {
  const decision = await findSelection(db, run);
  const word = decision?.stage === OPERATOR_STAGE ? decision.result : undefined;
  return {
    run,
    asOf: as_of.toISOString(),
    known: null,
    reopened: true,
    challengers: settings.challengers,
    champion: decision === undefined ? await championBeside(db, run, settings) : [],
    ...(word === undefined
      ? {}
      : {
          word: {
            verdict: word.serve ? 'approved' : 'rejected',
            actor: word.actor ?? 'nightly',
            reason: word.note,
          },
        }),
    rows: stagesAround(from).onwards.length,
    note: `run ${run} from ${from}, by ${actor}`,
  };
}

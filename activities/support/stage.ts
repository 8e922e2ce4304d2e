import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { type Session, type TransactionOptions, transaction } from '../../database/session.ts';
import { terminalFailure } from './failures.ts';
import { worksFor } from './own-workflow.ts';

/** What every stage returns: a summary, small enough for a history. */
export interface StageResult {
  /** Rows the stage wrote, for the run log and the operator. */
  rows: number;
}

/** What a transaction of a stage sees: that of its statements by default. */
type View = Pick<TransactionOptions, 'isolation' | 'snapshot'>;

/** One attempt at a stage, holding its fencing token. */
export interface StageAttempt {
  run: number;
  stage: string;
  token: number;
  signal: AbortSignal;
  /**
   * Runs `body` in a transaction that commits only while this attempt is the newest of its stage.
   * @throws StageSuperseded where a successor has taken the stage over
   */
  write<Result>(body: (session: Session) => Promise<Result>, view?: View): Promise<Result>;
  /** Like `write`, and records a finished chunk in the same transaction. */
  writeChunk(chunk: string, body: (session: Session) => Promise<number>, view?: View): Promise<void>;
  /** Chunks that this or an earlier attempt has finished, with their rows; `db` where a transaction is open. */
  finishedChunks(db?: Db): Promise<Map<string, number>>;
  /** Like `write`, and marks the stage done with the result in the same transaction. */
  finish<Result extends StageResult>(body: (session: Session) => Promise<Result>): Promise<Result>;
}

/**
 * Runs the body of a stage once: a stage that is done gives its stored result again.
 * @throws RunNotLive where the run has ended, or was re-opened since and is another workflow's
 */
export async function runStage<Result extends StageResult>(
  connection: Connection,
  key: { run: number; stage: string; signal: AbortSignal },
  body: (attempt: StageAttempt) => Promise<Result>,
): Promise<Result> {
  const { run, stage, signal } = key;
  const begun = await transaction(connection, async ({ db: trx }) => {
    const ledger = await trx
      .selectFrom('pipeline.runs')
      .select(['status', 'workflow_id'])
      .where('run', '=', run)
      .executeTakeFirst();
    if (ledger?.status !== 'running') {
      throw terminalFailure(
        'RunNotLive',
        `run ${run}, stage ${stage}: the run is ${ledger?.status ?? 'unknown'}, expected a running one; start a new run`,
      );
    }
    // Else what a terminated night has left at work would take stages from the one that goes on with its run.
    if (!worksFor(ledger.workflow_id)) {
      throw terminalFailure(
        'RunNotLive',
        `run ${run}, stage ${stage}: the run was re-opened and is workflow ${ledger.workflow_id} now, expected that one to ask; nothing to do`,
      );
    }
    return trx
      .insertInto('pipeline.stages')
      .values({ run, stage, status: 'running', token: 1, started_at: sql`clock_timestamp()` })
      .onConflict((conflict) =>
        conflict.columns(['run', 'stage']).doUpdateSet({
          token: sql`stages.token + 1`,
          status: sql`case stages.status when 'undone' then 'running' else stages.status end`,
          started_at: sql`case stages.status when 'undone' then clock_timestamp() else stages.started_at end`,
        }),
      )
      .returning(['token', 'status', 'result'])
      .executeTakeFirstOrThrow();
  });
  if (begun.status === 'done') return begun.result as Result;
  return body(createAttempt(connection, run, stage, begun.token, signal));
}

function createAttempt(
  connection: Connection,
  run: number,
  stage: string,
  token: number,
  signal: AbortSignal,
): StageAttempt {
  const write = <Result>(body: (session: Session) => Promise<Result>, view: View = {}): Promise<Result> =>
    transaction(
      connection,
      async (session) => {
        const result = await body(session);
        await assertNewest(session.db, run, stage, token);
        return result;
      },
      { signal, ...view },
    );

  return {
    run,
    stage,
    token,
    signal,
    write,
    writeChunk: (chunk, body, view) =>
      write(async (session) => {
        const rows = await body(session);
        await session.db.insertInto('pipeline.chunks').values({ run, stage, chunk, rows }).execute();
      }, view),
    finishedChunks: async (db = connection.db) => {
      const chunks = await db
        .selectFrom('pipeline.chunks')
        .select(['chunk', 'rows'])
        .where('run', '=', run)
        .where('stage', '=', stage)
        .execute();
      return new Map(chunks.map(({ chunk, rows }) => [chunk, rows]));
    },
    finish: (body) =>
      write(async (session) => {
        const result = await body(session);
        await session.db
          .updateTable('pipeline.stages')
          .set({
            status: 'done',
            result: JSON.stringify(result),
            rows: result.rows,
            finished_at: sql`clock_timestamp()`,
          })
          .where('run', '=', run)
          .where('stage', '=', stage)
          .execute();
        await session.db
          .deleteFrom('pipeline.checkpoints')
          .where('run', '=', run)
          .where('stage', '=', stage)
          .execute();
        return result;
      }),
  };
}

/**
 * The fence. Checked last, so that the row is locked only for the moment before the commit: from then on a
 * successor that wants the stage waits until this commit is decided, and finds the stage as it left it.
 */
async function assertNewest(trx: Db, run: number, stage: string, token: number): Promise<void> {
  const current = await trx
    .selectFrom('pipeline.stages as stage')
    .innerJoin('pipeline.runs as ledger', 'ledger.run', 'stage.run')
    .select(['stage.token', 'ledger.status'])
    .where('stage.run', '=', run)
    .where('stage.stage', '=', stage)
    // Not FOR UPDATE: chunks that are written side by side hold the row's key by their reference to it.
    .forNoKeyUpdate('stage')
    .forShare('ledger')
    .executeTakeFirst();
  if (current?.token !== token || current.status !== 'running') {
    throw terminalFailure(
      'StageSuperseded',
      `run ${run}, stage ${stage}: attempt ${token} was given up for dead and a newer one holds the stage; nothing was written by this one`,
    );
  }
}

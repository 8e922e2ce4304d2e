import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { attachedRuns } from '../../database/versions.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { recordDecision } from '../selection/record-decision.ts';
import { type SelectionResult, readSelection } from '../selection/result.ts';
import { STORE_TABLES } from './store-tables.ts';

export interface PublishResult extends StageResult {
  modelVersion: string;
  previousModelVersion: string | null;
  note: string;
}

/**
 * Shows a run's version: the pointer, the champion, the statuses of the versions and the decision's row move in
 * one transaction, one publisher at a time.
 * @throws PublishRefused where something newer is published or a table of the version is missing
 */
export function publishVersion(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<PublishResult> {
  return runStage(connection, { run, stage: 'publish', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const selection = await readSelection(connection.db, run);
    return attempt.finish(async ({ db }) => {
      // Publishers queue here; readers read on.
      await sql`lock table serving.pointer in share row exclusive mode`.execute(db);
      const previous = await db
        .selectFrom('serving.pointer as p')
        .innerJoin('serving.versions as v', 'v.run', 'p.model_run')
        .select(['p.as_of', 'p.model_run', 'v.model_version'])
        .executeTakeFirst();
      if (previous !== undefined && previous.as_of > context.asOf) {
        throw terminalFailure(
          'PublishRefused',
          `run ${run}, publish: as-of ${context.asOf.toISOString()} is older than the published ${previous.as_of.toISOString()}; what is served stays`,
        );
      }
      await assertComplete(db, run);
      await movePointer(db, context, selection);
      await moveChampion(db, run, selection);
      await recordDecision(db, run, selection);
      return {
        rows: STORE_TABLES.length,
        modelVersion: selection.modelVersion,
        previousModelVersion: previous?.model_version ?? null,
        note: selection.modelVersion,
      };
    });
  });
}

async function assertComplete(db: Db, run: number): Promise<void> {
  const missing: string[] = [];
  for (const table of STORE_TABLES) {
    if (!(await attachedRuns(db, table)).includes(run)) missing.push(table);
  }
  if (missing.length > 0) {
    throw terminalFailure(
      'PublishRefused',
      `run ${run}, publish: no ${missing.join(', ')} of this run; expected the stages that make them to be done`,
    );
  }
}

async function movePointer(db: Db, { run, asOf, startedAt }: Run, selection: SelectionResult): Promise<void> {
  await db
    .insertInto('serving.versions')
    .values({
      run,
      model_version: selection.modelVersion,
      provenance: selection.parameters.family,
      generated_at: startedAt,
      published_at: sql`clock_timestamp()`,
    })
    .execute();
  const target = { model_run: run, data_run: run, as_of: asOf, changed_at: sql<Date>`clock_timestamp()` };
  await db
    .insertInto('serving.pointer')
    .values({ only_row: true, ...target })
    .onConflict((conflict) => conflict.column('only_row').doUpdateSet(target))
    .execute();
}

async function moveChampion(db: Db, run: number, selection: SelectionResult): Promise<void> {
  if (selection.decision === 'first' || selection.decision === 'promotion') {
    const { configuration, from } = selection;
    const retired = await db
      .updateTable('models.champions')
      .set({ retired_at: sql`clock_timestamp()` })
      .where('retired_at', 'is', null)
      .returning('configuration')
      .execute();
    if ((retired[0]?.configuration ?? null) !== from) {
      throw terminalFailure(
        'PublishRefused',
        `run ${run}, publish: the champion is ${retired[0]?.configuration ?? 'none'}, but the decision was made against ${from ?? 'none'}; start a new run`,
      );
    }
    await db
      .insertInto('models.champions')
      .values({ configuration, parameters: JSON.stringify(selection.parameters), run })
      .execute();
  }
  await db
    .updateTable('models.metadata')
    .set({ status: 'retired' })
    .where('status', '=', 'champion')
    .execute();
  await db.updateTable('models.metadata').set({ status: 'champion' }).where('run', '=', run).execute();
}

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { rowsOf } from '../../database/versions.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { championChanged, servingChampion } from '../selection/champion.ts';
import { recordDecision } from '../selection/record-decision.ts';
import { type SelectionResult, readSelection } from '../selection/result.ts';
import { awaitOlderPlans } from './older-plans.ts';
import { lockPointer, markServed, missingTables, replaceChampion } from './pointer.ts';
import { MODEL_TABLES, STORE_TABLES } from './store-tables.ts';

export interface PublishResult extends StageResult {
  modelVersion: string;
  previousModelVersion: string | null;
  note: string;
}

/**
 * Shows a run's version: the pointer, the champion, the statuses of the versions and the decision's row move in
 * one transaction, one publisher at a time.
 * @throws PublishRefused where something newer is published or a table of the version is missing; ChampionChanged
 */
export function publishVersion(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<PublishResult> {
  return runStage(connection, { run, stage: 'publish', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const selection = await readSelection(connection.db, run);
    await assertComplete(connection.db, run);
    await awaitOlderPlans(connection, signal);
    return attempt.finish(async ({ db }) => {
      const counted = await countRows(db, run);
      await lockPointer(db);
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
      await movePointer(db, context, selection);
      await db.insertInto('serving.version_rows').values(counted).execute();
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
  const missing = await missingTables(db, STORE_TABLES, run);
  if (missing.length > 0) {
    throw terminalFailure(
      'PublishRefused',
      `run ${run}, publish: no ${missing.join(', ')} of this run; expected the stages that make them to be done`,
    );
  }
}

/** What a rollback will hold the version's tables against. */
async function countRows(db: Db, run: number) {
  const counted: { run: number; table_name: string; rows: number }[] = [];
  for (const table of MODEL_TABLES) {
    const { rows } = await sql<{ rows: number }>`
      select count(*) as rows from ${rowsOf(table, run)}`.execute(db);
    counted.push({ run, table_name: table, rows: rows[0].rows });
  }
  return counted;
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
      served_at: sql`clock_timestamp()`,
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
  const { configuration, from } = selection;
  const champion = (await servingChampion(db))?.configuration ?? null;
  // A rollback may have changed it since: a refresh would show one configuration and have another as champion.
  if (champion !== from) throw championChanged(run, 'publish', from, champion);
  if (selection.decision === 'first' || selection.decision === 'promotion') {
    await replaceChampion(db, run, configuration, selection.parameters);
  }
  await markServed(db, run);
}

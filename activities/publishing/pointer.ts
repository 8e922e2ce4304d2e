/** What moves with the pointer, whoever moves it: a night's publish or a rollback. */

import { sql } from 'kysely';
import type { ModelConfiguration } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { type VersionedTable, attachedRuns } from '../../database/versions.ts';

/** Publishers, rollbacks and the clean-up's choice of what to keep take turns; readers read on. */
export async function lockPointer(db: Db): Promise<void> {
  await sql`lock table serving.pointer in share row exclusive mode`.execute(db);
}

/** Those of the tables in which a run's version is not there. */
export async function missingTables(
  db: Db,
  tables: readonly VersionedTable[],
  run: number,
): Promise<string[]> {
  const missing: string[] = [];
  for (const table of tables) if (!(await attachedRuns(db, table)).includes(run)) missing.push(table);
  return missing;
}

/** Makes a configuration the champion, by the version of a run; the one so far is retired. */
export async function replaceChampion(
  db: Db,
  run: number,
  configuration: string,
  parameters: ModelConfiguration,
): Promise<void> {
  await db
    .updateTable('models.champions')
    .set({ retired_at: sql`clock_timestamp()` })
    .where('retired_at', 'is', null)
    .execute();
  await db
    .insertInto('models.champions')
    .values({ configuration, parameters: JSON.stringify(parameters), run })
    .execute();
}

/** Marks the version of a run as the champion's, and the one so far as retired. */
export async function markServed(db: Db, run: number): Promise<void> {
  await db
    .updateTable('models.metadata')
    .set({ status: 'retired' })
    .where('status', '=', 'champion')
    .execute();
  await db.updateTable('models.metadata').set({ status: 'champion' }).where('run', '=', run).execute();
}

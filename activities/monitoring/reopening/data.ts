/** Where the data of a run's stages lie, and whether they are still there. */

import type { NightStage } from '../../../config/stages.ts';
import type { Db } from '../../../database/connect.ts';
import { heldSnapshots, madeBy } from '../../../database/snapshots.ts';
import { type VersionedTable, attachedRuns } from '../../../database/versions.ts';
import { followedBy } from '../../ingestion/batch.ts';
import { SILVER_RULES } from '../../ingestion/refusal-reason.ts';
import { missingTables } from '../../publishing/pointer.ts';
import { SNAPSHOT_TABLES } from '../../publishing/store-tables.ts';
import { TRACES } from './traces.ts';

/**
 * Tables that have a partition of the run by a stage. Fingerprints come with the batch where that is about what has
 * changed since an earlier snapshot, else with a snapshot that is built in full.
 * @param follows the run whose snapshot the batch changes, as `followedBy` finds it
 */
export function tablesOf(stage: NightStage, follows: number | null): VersionedTable[] {
  const { tables = [] } = TRACES[stage];
  if (follows === null) return [...tables];
  if (stage === 'bronze') return [...tables, 'bronze.fingerprints'];
  return tables.filter((table) => table !== 'bronze.fingerprints');
}

/** Of what a stage has left that which is not there any more, where the stages from `from` on need it. */
export async function missingData(
  db: Db,
  run: number,
  stage: NightStage,
  from: NightStage,
): Promise<string[]> {
  // The clean-up reads batch and snapshot, and drops the rest itself where it is not published.
  if (from === 'clean up' && stage !== 'bronze' && stage !== 'silver') return [];
  const follows = await followedBy(db, run);
  // A snapshot is in an image, which may be an earlier run's.
  const tables = tablesOf(stage, follows).filter((table) => table !== 'silver.ratings');
  const missing = await missingTables(db, tables, run);
  if (stage === 'silver' && !(await heldSnapshots(db)).some((one) => one.run === run))
    missing.unshift('silver.ratings');
  const buildsSilver = from === 'bronze gate' || from === 'silver';
  if (stage === 'bronze' && buildsSilver && follows !== null && !(await canBeFollowed(db, follows)))
    missing.push(`the snapshot of run ${follows}, which it changes`);
  return missing;
}

/**
 * Whether what was carried over from an earlier snapshot can be so again. Its image may hold the run's own by now: of the
 * users that the batch is about both come to the same, and nobody else is touched.
 */
async function canBeFollowed(db: Db, follows: number): Promise<boolean> {
  const snapshot = await db
    .selectFrom('silver.snapshots')
    .select(['image', 'rules'])
    .where('run', '=', follows)
    .executeTakeFirst();
  if (snapshot === undefined) return false;
  const { image, rules } = snapshot;
  if (madeBy(rules) !== SILVER_RULES) return false;
  if (!(await attachedRuns(db, 'silver.ratings')).includes(image)) return false;
  return (await missingTables(db, SNAPSHOT_TABLES, follows)).length === 0;
}

/** What a pass goes by: the newest snapshot there is, and the version that is served. */

import type { Db } from '../../database/connect.ts';
import { type HeldSnapshot, heldSnapshots, madeBy } from '../../database/snapshots.ts';
import { attachedRuns } from '../../database/versions.ts';
import { isWhole } from '../ingestion/follow.ts';
import { SILVER_RULES } from '../ingestion/refusal-reason.ts';

export interface Base {
  snapshot: HeldSnapshot;
  /** Of the published night. */
  dataRun: number;
  modelRun: number;
  /** Runs whose fingerprints say who has changed: that of the snapshot, and that of the version where they are kept. */
  compared: number[];
}

/** The base of a pass now, or in one sentence why there is none. */
export async function findBase(db: Db): Promise<Base | { refusal: string }> {
  const pointer = await db.selectFrom('serving.pointer').select(['data_run', 'model_run']).executeTakeFirst();
  if (pointer === undefined)
    return { refusal: 'nothing is published yet: the speed layer begins after the first night that is' };
  const snapshot = (await heldSnapshots(db)).at(0);
  if (snapshot === undefined || !(await isWhole(db, snapshot))) {
    return {
      refusal: `no snapshot to go by: ${snapshot === undefined ? 'none is kept' : `that of run ${snapshot.run} is not whole, or made by other rules`}; the next night makes one`,
    };
  }
  const known = await hasFingerprints(db, pointer.model_run);
  const compared = [...new Set([snapshot.run, ...(known ? [pointer.model_run] : [])])];
  return { snapshot, dataRun: pointer.data_run, modelRun: pointer.model_run, compared };
}

/**
 * Whether there still are fingerprints of a run's, made as ours are: by others everybody would have changed. Where a night by new
 * rules was blocked, whoever has rated between the served version and that night is folded in again when one is published.
 */
async function hasFingerprints(db: Db, run: number): Promise<boolean> {
  if (!(await attachedRuns(db, 'bronze.fingerprints')).includes(run)) return false;
  const snapshot = await db
    .selectFrom('silver.snapshots')
    .select('rules')
    .where('run', '=', run)
    .executeTakeFirst();
  return snapshot !== undefined && madeBy(snapshot.rules) === SILVER_RULES;
}

import type { Db } from '../../database/connect.ts';
import { type HeldSnapshot, heldSnapshots } from '../../database/snapshots.ts';
import { attachedRuns } from '../../database/versions.ts';
import { SNAPSHOT_TABLES } from '../publishing/store-tables.ts';
import type { Run } from '../support/run.ts';
import { SILVER_RULES } from './refusal-reason.ts';

/**
 * The snapshot that the run's batch changes: the newest one of an earlier as-of, made by the same rules, of which there
 * still is all that it takes. An older as-of than that of a snapshot (a backfill) follows none: what lies between was
 * not read for it.
 * @returns null where the whole source is to be read
 */
export async function snapshotToFollow(db: Db, { run, asOf, settings }: Run): Promise<HeldSnapshot | null> {
  if (settings.ingestion.rebuild) return null;
  const newest = (await heldSnapshots(db)).filter((held) => held.run !== run).at(0);
  if (newest === undefined || newest.as_of > asOf) return null;
  return (await isWhole(db, newest)) ? newest : null;
}

/**
 * Whether a snapshot was made by the present rules, its rows add up, and there still is all that it takes to tell what has
 * changed since. One whose rows do not would hand that on from night to night: the next one rebuilds.
 */
export async function isWhole(db: Db, { run, rules }: HeldSnapshot): Promise<boolean> {
  if (rules !== SILVER_RULES) return false;
  const lost = await db
    .selectFrom('quality.check_results')
    .select('run')
    .where('run', '=', run)
    .where('check_name', '=', 'row_accounting')
    .where('status', '=', 'failed')
    .executeTakeFirst();
  if (lost !== undefined) return false;
  for (const table of SNAPSHOT_TABLES) if (!(await attachedRuns(db, table)).includes(run)) return false;
  return true;
}

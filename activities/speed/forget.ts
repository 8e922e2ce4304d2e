import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import { forgetOverlay } from './overlay.ts';

/** Some 300 rows a day: enough to look into a week that went wrong. */
const PASSES_DAYS = 7;

/** Clears, at a night's end, what the speed layer holds of before it; a pass may be under way and goes on. */
export async function forgetPasses(db: Db, { run, asOf, mayPublish }: Run): Promise<void> {
  // A backfill has read the source of now, and judged it as of then: it tells nothing of who is gone.
  if (mayPublish) await forgetOverlay(db, { run, asOf });
  // Ratings of an older snapshot, with those that have been deleted since.
  await db
    .deleteFrom('speed.recent_ratings')
    .where(sql<boolean>`(select base_run from speed.latest) is distinct from ${sql.lit(run)}`)
    .execute();
  await db
    .updateTable('speed.latest')
    .set({ recent_since: null })
    .where('base_run', '<>', run)
    .where('recent_since', 'is not', null)
    .execute();
  await db
    .deleteFrom('speed.passes')
    .where('finished_at', '<', sql<Date>`now() - ${sql.lit(`${PASSES_DAYS} days`)}::interval`)
    .where('pass', 'not in', db.selectFrom('speed.latest').select('pass'))
    .execute();
}

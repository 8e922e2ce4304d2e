import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';

/**
 * Forgets what nights have found out and nobody needs any more: experiments and values by user after their time. What was decided from them stays, in `models`.
 * @param runs those of which everything is kept: the present one's, and those of the versions that are kept
 */
export async function forgetOldEvidence(
  db: Db,
  run: number,
  runs: number[],
  retention: Settings['retention'],
): Promise<void> {
  const beforeMetrics = await lastRuns(db, run, retention.userMetricsNights);
  await db
    .deleteFrom('experiments.user_metrics')
    .where('run', '<', beforeMetrics)
    .where('run', 'not in', runs)
    .execute();
  await db
    .deleteFrom('experiments.ab_test_users as old')
    .using('experiments.ab_tests as t')
    .whereRef('t.test_id', '=', 'old.test_id')
    .where('t.run', '<', beforeMetrics)
    .where('t.run', 'not in', runs)
    .execute();
  const beforeExperiments = await lastRuns(db, run, retention.experimentNights);
  for (const table of [
    'experiments.evaluations',
    'experiments.comparisons',
    'experiments.ab_test_results',
  ] as const) {
    await db.deleteFrom(table).where('run', '<', beforeExperiments).where('run', 'not in', runs).execute();
  }
  await forgetGridSearches(db, beforeExperiments);
}

/** The first of the last so many runs, with this one; 0 where there are not so many. */
async function lastRuns(db: Db, run: number, nights: number): Promise<number> {
  const first = await db
    .selectFrom('pipeline.runs')
    .select('run')
    .where('run', '<=', run)
    .orderBy('run', 'desc')
    .offset(nights - 1)
    .limit(1)
    .executeTakeFirst();
  return first?.run ?? 0;
}

/** Finished ones; a search that is still under way has its points to write. */
async function forgetGridSearches(db: Db, before: number): Promise<void> {
  const old = db
    .selectFrom('experiments.grid_searches')
    .select('search')
    .where('run', '<', before)
    .where('finished_at', 'is not', null);
  await db.deleteFrom('experiments.grid_search_results').where('search', 'in', old).execute();
  await db
    .deleteFrom('experiments.grid_searches')
    .where('run', '<', before)
    .where('finished_at', 'is not', null)
    .execute();
}

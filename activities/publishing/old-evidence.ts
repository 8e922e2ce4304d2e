import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';

const DAY_MILLISECONDS = 86_400_000;

/**
 * Forgets what nights and engineers have found out and nobody needs any more: experiments and values by user after their
 * time, and experiments that never came to their end. What was decided from them stays, in `models`.
 * @param runs those of which everything is kept: the present one's, and those of the versions that are kept
 */
export async function forgetOldEvidence(
  db: Db,
  { run, startedAt, settings: { retention } }: Run,
  runs: number[],
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
  const doomed: Doomed = {
    before: beforeExperiments,
    runs,
    abandoned: abandonedBefore(startedAt, retention),
  };
  await forgetAbTests(db, doomed);
  await forgetGridSearches(db, doomed);
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

/** What has not come to its end and was entered before this instant has been given up. */
export function abandonedBefore(now: Date, { abandonedDays }: Settings['retention']): Date {
  return new Date(now.getTime() - abandonedDays * DAY_MILLISECONDS);
}

interface Doomed {
  /** Finished ones on runs before this one go, but for those on `runs`. */
  before: number;
  runs: number[];
  abandoned: Date;
}

/** With their arms; their twins and groups' metrics go with the evaluations of the run. */
async function forgetAbTests(db: Db, doomed: Doomed): Promise<void> {
  const old = doomedOf(db, 'experiments.ab_tests', doomed).select('test_id');
  for (const table of [
    'experiments.ab_test_users',
    'experiments.ab_test_comparisons',
    'experiments.ab_test_arms',
    'experiments.ab_tests',
  ] as const) {
    await db.deleteFrom(table).where('test_id', 'in', old).execute();
  }
}

/** With their points. */
async function forgetGridSearches(db: Db, doomed: Doomed): Promise<void> {
  const old = doomedOf(db, 'experiments.grid_searches', doomed).select('search');
  await db.deleteFrom('experiments.grid_search_results').where('search', 'in', old).execute();
  await db.deleteFrom('experiments.grid_searches').where('search', 'in', old).execute();
}

function doomedOf(
  db: Db,
  table: 'experiments.ab_tests' | 'experiments.grid_searches',
  { before, runs, abandoned }: Doomed,
) {
  return db
    .selectFrom(table)
    .where((e) =>
      e.or([
        e.and([e('finished_at', 'is not', null), e('run', '<', before), e('run', 'not in', runs)]),
        e.and([e('finished_at', 'is', null), e('created_at', '<', abandoned)]),
      ]),
    );
}

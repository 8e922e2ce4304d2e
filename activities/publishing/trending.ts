import { sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import { blockedAt } from '../../database/block-list.ts';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import {
  type MovieActivity,
  inOneProcess,
  movieActivity,
  recentWindow,
  snapshotSources,
} from './recent-window.ts';

/** What is trending in a night's snapshot. */
export function computeTrending(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal }: Heartbeat,
): Promise<StageResult> {
  return runStage(connection, { run, stage: 'trending', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const window = await recentWindow(connection.db, context);
    return attempt.finish(async ({ db }) => {
      await inOneProcess(db);
      const activity = movieActivity(db, await snapshotSources(db, run), window);
      const leading = leadingMovies(db, activity, {
        ...context.settings.trending,
        catalogue: run,
        asOf: context.asOf,
        blockedAt: context.startedAt,
      }).select(sql.lit(run).as('run'));
      return { rows: await createPartitionAs(db, 'store.trending', run, leading) };
    });
  });
}

type Wanted = Pick<Settings['trending'], 'rows' | 'windowDays' | 'minimumRecentRatings'> & {
  /** The run whose catalogue has the titles. */
  catalogue: number;
  asOf: Date;
  blockedAt: Date;
};

/**
 * Movies whose ratings are most recent, by the share of their ratings that fall into the window. The floor of
 * recent ratings keeps one rating on a new film from leading; ties by recent ratings, then the smaller id.
 */
export function leadingMovies(db: Db, activity: MovieActivity, wanted: Wanted) {
  return db
    .selectFrom(activity.as('activity'))
    .innerJoin('silver.movies as movie', (join) =>
      join.onRef('movie.movie_id', '=', 'activity.movie_id').on('movie.run', '=', sql.lit(wanted.catalogue)),
    )
    .where('recent_ratings', '>=', sql.lit(wanted.minimumRecentRatings))
    .where(sql<boolean>`activity.movie_id not in ${blockedAt(wanted.blockedAt)}`)
    .orderBy(sql`rank`)
    .limit(sql.lit(wanted.rows))
    .select([
      sql<number>`(row_number() over (
        order by trending_score desc, recent_ratings desc, activity.movie_id
      ))::integer`.as('rank'),
      'activity.movie_id',
      'movie.title',
      'total_ratings',
      'overall_avg_rating',
      'recent_ratings',
      'recent_avg_rating',
      'latest_rating',
      'trending_score',
      sql.lit(wanted.windowDays).as('window_days'),
      instant(wanted.asOf).as('as_of'),
    ]);
}

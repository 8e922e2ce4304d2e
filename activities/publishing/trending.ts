import { sql } from 'kysely';
import { blockedAt } from '../../database/block-list.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { movieActivity, recentWindow } from './recent-window.ts';

/**
 * Movies whose ratings are most recent, by the share of their ratings that fall into the window. The floor of
 * recent ratings keeps one rating on a new film from leading; ties by recent ratings, then the smaller id.
 */
export function computeTrending(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal }: Heartbeat,
): Promise<StageResult> {
  return runStage(connection, { run, stage: 'trending', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const { rows, windowDays, minimumRecentRatings } = context.settings.trending;
    const window = await recentWindow(connection.db, context);
    return attempt.finish(async ({ db }) => {
      const activity = await movieActivity(db, run, window);
      const leading = db
        .selectFrom(activity.as('activity'))
        .innerJoin('silver.movies as movie', (join) =>
          join.onRef('movie.movie_id', '=', 'activity.movie_id').on('movie.run', '=', sql.lit(run)),
        )
        .where('recent_ratings', '>=', sql.lit(minimumRecentRatings))
        .where(sql<boolean>`activity.movie_id not in ${blockedAt(context.startedAt)}`)
        .orderBy(sql`rank`)
        .limit(sql.lit(rows))
        .select([
          sql.lit(run).as('run'),
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
          sql.lit(windowDays).as('window_days'),
          sql<Date>`${sql.lit(context.asOf.toISOString())}::timestamptz`.as('as_of'),
        ]);
      return { rows: await createPartitionAs(db, 'store.trending', run, leading) };
    });
  });
}

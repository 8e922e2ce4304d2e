import { sql } from 'kysely';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { movieActivity, recentWindow } from './recent-window.ts';

/** The notebook's serving view for every movie: zeros where nothing is recent, no latest rating then. */
export function computeMovieStats(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal }: Heartbeat,
): Promise<StageResult> {
  return runStage(connection, { run, stage: 'movie-stats', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const window = await recentWindow(connection.db, context);
    return attempt.finish(async ({ db }) => {
      const activity = await movieActivity(db, run, window);
      const orZero = (column: string) => sql<number>`coalesce(${sql.ref(column)}, 0)`;
      const stats = db
        .selectFrom('silver.movies as movie')
        .leftJoin(activity.as('activity'), 'activity.movie_id', 'movie.movie_id')
        .where('movie.run', '=', sql.lit(run))
        .select([
          sql.lit(run).as('run'),
          'movie.movie_id',
          'movie.title',
          orZero('activity.total_ratings').as('total_ratings'),
          orZero('activity.overall_avg_rating').as('overall_avg_rating'),
          orZero('activity.recent_ratings').as('recent_ratings'),
          orZero('activity.recent_avg_rating').as('recent_avg_rating'),
          'activity.latest_rating',
          orZero('activity.trending_score').as('trending_score'),
        ]);
      return { rows: await createPartitionAs(db, 'store.movie_stats', run, stats) };
    });
  });
}

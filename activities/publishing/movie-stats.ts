import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { setLocal } from '../../database/session.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { type MovieActivity, movieActivity, recentWindow, snapshotSources } from './recent-window.ts';

export const MOVIE_STATS_STAGE = 'movie-stats';

/** The statistics of a night's movies. */
export function computeMovieStats(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal }: Heartbeat,
): Promise<StageResult> {
  return runStage(connection, { run, stage: MOVIE_STATS_STAGE, signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const window = await recentWindow(connection.db, context);
    return attempt.finish(async ({ db }) => {
      // Neighbours are found meanwhile, which takes longer, and readers wait behind each process that runs.
      await setLocal(db, { max_parallel_workers_per_gather: '0' });
      const activity = movieActivity(db, await snapshotSources(db, run, window), window);
      const stats = statsOfMovies(db, activity, run).select(sql.lit(run).as('run'));
      return { rows: await createPartitionAs(db, 'store.movie_stats', run, stats) };
    });
  });
}

/**
 * The notebook's serving view for every movie of a run's catalogue: zeros where nothing is recent, no latest rating then.
 */
export function statsOfMovies(db: Db, activity: MovieActivity, catalogue: number) {
  const orZero = (column: string) => sql<number>`coalesce(${sql.ref(column)}, 0)`;
  return db
    .selectFrom('silver.movies as movie')
    .leftJoin(activity.as('activity'), 'activity.movie_id', 'movie.movie_id')
    .where('movie.run', '=', sql.lit(catalogue))
    .select([
      'movie.movie_id',
      'movie.title',
      orZero('activity.total_ratings').as('total_ratings'),
      orZero('activity.overall_avg_rating').as('overall_avg_rating'),
      orZero('activity.recent_ratings').as('recent_ratings'),
      orZero('activity.recent_avg_rating').as('recent_avg_rating'),
      'activity.latest_rating',
      orZero('activity.trending_score').as('trending_score'),
    ]);
}

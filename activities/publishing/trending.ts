import { type RawBuilder, sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import { blockedAt } from '../../database/block-list.ts';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import type { MovieStats } from '../../database/types/index.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { MOVIE_STATS_STAGE } from './movie-stats.ts';

/** What is trending in a night's snapshot, by the statistics of its movies. */
export function computeTrending(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal }: Heartbeat,
): Promise<StageResult> {
  return runStage(connection, { run, stage: 'trending', signal }, async (attempt) => {
    const { settings, asOf, startedAt } = await loadRun(connection.db, run);
    await assertHasStatistics(connection.db, run);
    return attempt.finish(async ({ db }) => {
      const statistics = sql`(select * from store.movie_stats where run = ${sql.lit(run)})`;
      const wanted = { ...settings.trending, asOf, blockedAt: startedAt };
      const leading = leadingMovies(db, statistics, wanted).select(sql.lit(run).as('run'));
      return { rows: await createPartitionAs(db, 'store.trending', run, leading) };
    });
  });
}

/** In a night that began under an earlier release both are made side by side. */
async function assertHasStatistics(db: Db, run: number): Promise<void> {
  const done = await db
    .selectFrom('pipeline.stages')
    .select('stage')
    .where('run', '=', run)
    .where('stage', '=', MOVIE_STATS_STAGE)
    .where('status', '=', 'done')
    .executeTakeFirst();
  if (done !== undefined) return;
  throw new Error(
    `run ${run}, stage trending: stage ${MOVIE_STATS_STAGE} is not done, whose statistics it is made of; it is tried again`,
  );
}

type Wanted = Pick<Settings['trending'], 'rows' | 'windowDays' | 'minimumRecentRatings'> & {
  asOf: Date;
  blockedAt: Date;
};

/**
 * Of the statistics of movies those whose ratings are most recent, by the share of their ratings that fall into the window.
 * The floor of recent ratings keeps one rating on a new film from leading; ties by recent ratings, then the smaller id.
 */
export function leadingMovies(db: Db, statistics: RawBuilder<unknown>, wanted: Wanted) {
  return db
    .selectFrom(sql<MovieStats>`${statistics}`.as('movie'))
    .where('total_ratings', '>', 0)
    .where('recent_ratings', '>=', sql.lit(wanted.minimumRecentRatings))
    .where(sql<boolean>`movie_id not in ${blockedAt(wanted.blockedAt)}`)
    .orderBy(sql`rank`)
    .limit(sql.lit(wanted.rows))
    .select([
      sql<number>`(row_number() over (
        order by trending_score desc, recent_ratings desc, movie_id
      ))::integer`.as('rank'),
      'movie_id',
      'title',
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

import { type RawBuilder, sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import { imageOf } from '../../database/snapshots.ts';
import { rowsOf } from '../../database/versions.ts';
import type { Run } from '../support/run.ts';

/** The recent window: instants after `from`, up to and with `to`. */
export interface RecentWindow {
  from: Date;
  to: Date;
}

const DAY_MILLISECONDS = 86_400_000;

/** The window before the as-of or, for historical data, before the newest rating. */
export function windowOf(
  { anchor, windowDays }: Settings['trending'],
  asOf: Date,
  newest: Date | null,
): RecentWindow {
  const to = anchor === 'as_of' ? asOf : (newest ?? asOf);
  return { from: new Date(to.getTime() - windowDays * DAY_MILLISECONDS), to };
}

/** The window of a run, on its snapshot. */
export async function recentWindow(db: Db, { run, asOf, settings }: Run): Promise<RecentWindow> {
  const { newest_rating_at } = await db
    .selectFrom('silver.snapshots')
    .select('newest_rating_at')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  return windowOf(settings.trending, asOf, newest_rating_at);
}

/** What the activity of movies is made of, as queries. */
export interface ActivitySources {
  /** `movie_id`, `ratings` and `half_stars` of every rated movie. */
  totals: RawBuilder<{ movie_id: number }>;
  /** `movie_id`, `rating` and `rating_timestamp` of all ratings in the window; of others too. */
  ratings: RawBuilder<unknown>;
}

/**
 * Whoever has rated in the window is looked up in the index of an image while they have at most this share of its ratings.
 * At 25 million, of which they have 19%, that takes 1.6 to 2.0 s, and a scan 4.7 s.
 */
const LOOKED_UP = 0.25;

/** Those of a run's snapshot: its totals, and of its image what is of users who have rated in the window. */
export async function snapshotSources(db: Db, run: number, { from }: RecentWindow): Promise<ActivitySources> {
  const image = rowsOf('silver.ratings', await imageOf(db, run));
  const isActive = sql<boolean>`last_at > ${instant(from)}`;
  const { share } = await db
    .selectFrom('gold.user_totals')
    .where('run', '=', sql.lit(run))
    .select(
      sql<number | null>`
        sum(ratings) filter (where ${isActive}) / nullif(sum(ratings), 0)::double precision`.as('share'),
    )
    .executeTakeFirstOrThrow();
  const active = db
    .selectFrom('gold.user_totals')
    .where('run', '=', sql.lit(run))
    .where(isActive)
    .select('user_id');
  return {
    totals: sql`(select movie_id, ratings, half_stars from gold.movie_totals where run = ${sql.lit(run)})`,
    ratings:
      (share ?? 0) > LOOKED_UP
        ? image
        : sql`(
            select movie_id, rating, rating_timestamp from ${image} i where user_id = any(array(${active})))`,
  };
}

/** Per rated movie: all its ratings, and those in the window. */
export function movieActivity(db: Db, { totals, ratings }: ActivitySources, { from, to }: RecentWindow) {
  const recent = sql<{ movie_id: number }>`(
    select movie_id, count(*)::integer as ratings, sum((rating * 2)::integer) as half_stars,
           max(rating_timestamp) as latest
    from ${ratings} r
    where rating_timestamp > ${instant(from)} and rating_timestamp <= ${instant(to)}
    group by movie_id)`;
  return db
    .selectFrom(totals.as('total'))
    .leftJoin(recent.as('recent'), 'recent.movie_id', 'total.movie_id')
    .select([
      'total.movie_id',
      sql<number>`total.ratings`.as('total_ratings'),
      averageStars('total').as('overall_avg_rating'),
      sql<number>`coalesce(recent.ratings, 0)`.as('recent_ratings'),
      sql<number>`coalesce(${averageStars('recent')}, 0)`.as('recent_avg_rating'),
      sql<Date | null>`recent.latest`.as('latest_rating'),
      sql<number>`round(coalesce(recent.ratings, 0)::numeric / total.ratings, 4)::double precision`.as(
        'trending_score',
      ),
    ]);
}

export type MovieActivity = ReturnType<typeof movieActivity>;

function averageStars(of: 'total' | 'recent'): RawBuilder<number> {
  return sql`round(${sql.ref(`${of}.half_stars`)}::numeric / (2 * ${sql.ref(`${of}.ratings`)}), 2)::double precision`;
}

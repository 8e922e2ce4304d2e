import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { imageOf } from '../../database/snapshots.ts';
import type { Run } from '../support/run.ts';

/** The recent window: instants after `from`, up to and with `to`. */
export interface RecentWindow {
  from: Date;
  to: Date;
}

const DAY_MILLISECONDS = 86_400_000;

/** The window before the as-of or, for historical data, before the newest rating of the snapshot. */
export async function recentWindow(db: Db, { run, asOf, settings }: Run): Promise<RecentWindow> {
  const { anchor, windowDays } = settings.trending;
  const { newest_rating_at } = await db
    .selectFrom('silver.snapshots')
    .select('newest_rating_at')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const to = anchor === 'as_of' ? asOf : (newest_rating_at ?? asOf);
  return { from: new Date(to.getTime() - windowDays * DAY_MILLISECONDS), to };
}

/** Per rated movie of the snapshot: all its ratings, from its totals, and those in the window, from one scan for them. */
export async function movieActivity(db: Db, run: number, { from, to }: RecentWindow) {
  const image = await imageOf(db, run);
  const recent = db
    .selectFrom('silver.ratings')
    .where('image', '=', sql.lit(image))
    .where('rating_timestamp', '>', instant(from))
    .where('rating_timestamp', '<=', instant(to))
    .groupBy('movie_id')
    .select([
      'movie_id',
      sql<number>`count(*)::integer`.as('ratings'),
      sql<number>`sum((rating * 2)::integer)`.as('half_stars'),
      sql<Date>`max(rating_timestamp)`.as('latest'),
    ])
    .as('recent');
  return db
    .selectFrom('gold.movie_totals as total')
    .leftJoin(recent, 'recent.movie_id', 'total.movie_id')
    .where('total.run', '=', sql.lit(run))
    .select([
      'total.movie_id',
      'total.ratings as total_ratings',
      averageStars('total').as('overall_avg_rating'),
      sql<number>`coalesce(recent.ratings, 0)`.as('recent_ratings'),
      sql<number>`coalesce(${averageStars('recent')}, 0)`.as('recent_avg_rating'),
      sql<Date | null>`recent.latest`.as('latest_rating'),
      sql<number>`round(coalesce(recent.ratings, 0)::numeric / total.ratings, 4)::double precision`.as(
        'trending_score',
      ),
    ]);
}

function averageStars(of: 'total' | 'recent'): RawBuilder<number> {
  return sql`round(${sql.ref(`${of}.half_stars`)}::numeric / (2 * ${sql.ref(`${of}.ratings`)}), 2)::double precision`;
}

function instant(at: Date): RawBuilder<Date> {
  return sql`${sql.lit(at.toISOString())}::timestamptz`;
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
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

/** Per rated movie of the snapshot: all its ratings, and those in the window. */
export function movieActivity(db: Db, run: number, { from, to }: RecentWindow) {
  const recent = sql<boolean>`rating_timestamp > ${sql.lit(from.toISOString())}::timestamptz
    and rating_timestamp <= ${sql.lit(to.toISOString())}::timestamptz`;
  return db
    .selectFrom('silver.ratings')
    .where('run', '=', sql.lit(run))
    .groupBy('movie_id')
    .select([
      'movie_id',
      sql<number>`count(*)::integer`.as('total_ratings'),
      average(sql`true`).as('overall_avg_rating'),
      sql<number>`(count(*) filter (where ${recent}))::integer`.as('recent_ratings'),
      average(recent).as('recent_avg_rating'),
      sql<Date | null>`max(rating_timestamp) filter (where ${recent})`.as('latest_rating'),
      sql<number>`round((count(*) filter (where ${recent}))::numeric / count(*), 4)::double precision`.as(
        'trending_score',
      ),
    ]);
}

function average(condition: RawBuilder<unknown>): RawBuilder<number> {
  return sql`round(coalesce(avg(rating) filter (where ${condition}), 0)::numeric, 2)::double precision`;
}

import { sql } from 'kysely';
import type { Connection } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import { measureSource } from './measure-source.ts';

/** What there is to read. */
export interface SourceCounts {
  ratings: number | null;
  movies: number | null;
  /** Ratings that a night of this as-of sets aside. */
  after_as_of: number | null;
  /** Null where there is none up to the as-of. */
  newest_rating_at: string | null;
  /** Why it cannot be read; null where it can. */
  problem: string | null;
}

const UNREAD = { ratings: null, movies: null, after_as_of: null, newest_rating_at: null };

/** Counts what a night would read, where the tables are what they should be. */
export function countSource(source: Connection, asOf: Date, signal: AbortSignal): Promise<SourceCounts> {
  return transaction(
    source,
    async ({ db }) => {
      const { checks: measured } = await measureSource(db);
      if (measured.source_columns?.observed !== 0)
        return { ...UNREAD, problem: measured.source_columns?.finding ?? 'its tables are not as expected' };
      const until = sql`${sql.lit(asOf.toISOString())}::timestamptz`;
      const { rows } = await sql<{ later: number; newest: Date | null }>`
        select count(*) filter (where rating_timestamp > ${until}) as later,
               max(rating_timestamp::timestamptz) filter (
                 where rating_timestamp <= ${until} and isfinite(rating_timestamp)) as newest
        from movielens.ratings`.execute(db);
      return {
        ratings: measured.ratings_minimum?.observed ?? null,
        movies: measured.movies_present?.observed ?? null,
        after_as_of: rows[0].later,
        newest_rating_at: rows[0].newest?.toISOString() ?? null,
        problem: null,
      };
    },
    { signal, isolation: 'repeatable read' },
  );
}

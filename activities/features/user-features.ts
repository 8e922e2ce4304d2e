import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import {
  average,
  countWhere,
  deviation,
  instant,
  negative,
  positive,
  rounded,
  total,
} from './expressions.ts';

/** One row a user of the snapshot. */
export function userFeatures(db: Db, { run, startedAt }: Run) {
  const positives = countWhere(positive);
  const span = sql<number>`max(rating_timestamp)::date - min(rating_timestamp)::date`;
  return db
    .selectFrom('silver.ratings')
    .where('run', '=', sql.lit(run))
    .groupBy('user_id')
    .select([
      sql.lit(run).as('run'),
      'user_id',
      total.as('total_ratings'),
      rounded(average, 4).as('avg_rating'),
      rounded(deviation, 4).as('std_rating'),
      positives.as('positive_count'),
      countWhere(negative).as('negative_count'),
      // The snapshot has one row a pair.
      total.as('unique_movies'),
      sql<Date>`min(rating_timestamp)`.as('first_rating_at'),
      sql<Date>`max(rating_timestamp)`.as('last_rating_at'),
      rounded(sql`${positives}::numeric / count(*)`, 4).as('positivity_ratio'),
      span.as('activity_span_days'),
      rounded(sql`case when ${span} > 0 then count(*)::numeric / (${span}) else count(*) end`, 4).as(
        'ratings_per_day',
      ),
      sql<string>`case
        when count(*) >= 1000 then 'power'
        when count(*) >= 100 then 'active'
        when count(*) >= 20 then 'casual'
        else 'new'
      end`.as('user_segment'),
      instant(startedAt).as('_computed_at'),
    ]);
}

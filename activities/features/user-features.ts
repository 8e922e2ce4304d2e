import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import type { Run } from '../support/run.ts';
import { averageStars, deviation, positiveShare, quotient } from './expressions.ts';

/** One row a user of the snapshot. */
export function userFeatures(db: Db, { run, startedAt }: Run) {
  const span = sql<number>`(last_at::date - first_at::date)`;
  return db
    .selectFrom('gold.user_totals')
    .where('run', '=', sql.lit(run))
    .select([
      sql.lit(run).as('run'),
      'user_id',
      'ratings as total_ratings',
      averageStars.as('avg_rating'),
      deviation.as('std_rating'),
      'positive as positive_count',
      'negative as negative_count',
      // The snapshot has one row a pair.
      'ratings as unique_movies',
      'first_at as first_rating_at',
      'last_at as last_rating_at',
      positiveShare.as('positivity_ratio'),
      span.as('activity_span_days'),
      sql<number>`case when ${span} > 0 then ${quotient(sql`ratings`, span)} else ratings end`.as(
        'ratings_per_day',
      ),
      sql<string>`case
        when ratings >= 1000 then 'power'
        when ratings >= 100 then 'active'
        when ratings >= 20 then 'casual'
        else 'new'
      end`.as('user_segment'),
      instant(startedAt).as('_computed_at'),
    ]);
}

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import { average, countWhere, deviation, instant, positive, rounded, total } from './expressions.ts';

/** One row a rated movie of the snapshot. */
export function movieFeatures(db: Db, { run, startedAt }: Run) {
  const rated = db
    .selectFrom('silver.ratings')
    .where('run', '=', sql.lit(run))
    .groupBy('movie_id')
    .select([
      'movie_id',
      total.as('total_ratings'),
      rounded(average, 4).as('avg_rating'),
      rounded(deviation, 4).as('std_rating'),
      // The snapshot has one row a pair.
      total.as('unique_raters'),
      rounded(sql`${countWhere(positive)}::numeric / count(*)`, 4).as('positive_rate'),
      sql<Date>`min(rating_timestamp)`.as('first_rated_at'),
      sql<Date>`max(rating_timestamp)`.as('last_rated_at'),
    ])
    .as('rated');
  return db
    .selectFrom('silver.movies as movie')
    .innerJoin(rated, 'rated.movie_id', 'movie.movie_id')
    .where('movie.run', '=', sql.lit(run))
    .select([
      sql.lit(run).as('run'),
      'movie.movie_id',
      'movie.title',
      'movie.genres',
      'movie.primary_genre',
      'movie.year',
      'movie.num_genres',
      'rated.total_ratings',
      'rated.avg_rating',
      'rated.std_rating',
      'rated.unique_raters',
      'rated.positive_rate',
      'rated.first_rated_at',
      'rated.last_rated_at',
      instant(startedAt).as('_computed_at'),
    ]);
}

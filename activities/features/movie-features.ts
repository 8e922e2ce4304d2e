import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import type { Run } from '../support/run.ts';
import { averageStars, deviation, positiveShare } from './expressions.ts';

/** One row a rated movie of the snapshot. */
export function movieFeatures(db: Db, { run, startedAt }: Run) {
  return db
    .selectFrom('gold.movie_totals as total')
    .innerJoin('silver.movies as movie', 'movie.movie_id', 'total.movie_id')
    .where('total.run', '=', sql.lit(run))
    .where('movie.run', '=', sql.lit(run))
    .select([
      sql.lit(run).as('run'),
      'movie.movie_id',
      'movie.title',
      'movie.genres',
      'movie.primary_genre',
      'movie.year',
      'movie.num_genres',
      'total.ratings as total_ratings',
      averageStars.as('avg_rating'),
      deviation.as('std_rating'),
      // The snapshot has one row a pair.
      'total.ratings as unique_raters',
      positiveShare.as('positive_rate'),
      'total.first_at as first_rated_at',
      'total.last_at as last_rated_at',
      instant(startedAt).as('_computed_at'),
    ]);
}

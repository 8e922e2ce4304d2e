import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { isCatalogued } from './refusal-reason.ts';

/** Genres of a movie as the catalogue has them, and where it has none. */
export const genresOf = sql<string>`coalesce(nullif(genres, ''), '(no genres listed)')`;

/** The catalogue of a run's batch, enriched; of several movies with one id the first by title, so that every night chooses the same. */
export function catalogue(db: Db, run: number) {
  return db
    .selectFrom('bronze.movies')
    .where('_batch_id', '=', sql.lit(run))
    .where(isCatalogued)
    .distinctOn('movie_id')
    .orderBy('movie_id')
    .orderBy('title')
    .orderBy('genres')
    .select([
      sql.lit(run).as('run'),
      sql<number>`movie_id::integer`.as('movie_id'),
      'title',
      genresOf.as('genres'),
      sql<string[]>`string_to_array(${genresOf}, '|')`.as('genre_list'),
      sql<string>`split_part(${genresOf}, '|', 1)`.as('primary_genre'),
      sql<number>`cardinality(string_to_array(${genresOf}, '|'))`.as('num_genres'),
      sql<number | null>`substring(title from '\\((\\d{4})\\)')::integer`.as('year'),
    ]);
}

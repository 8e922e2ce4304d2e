import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import { ofChangedUsers } from '../ingestion/batch.ts';
import { instant, rounded } from './expressions.ts';

/** The ten genres and their columns; a movie counts for each of its genres. */
export const PREFERENCE_GENRES = {
  pref_drama: 'Drama',
  pref_comedy: 'Comedy',
  pref_action: 'Action',
  pref_thriller: 'Thriller',
  pref_romance: 'Romance',
  pref_adventure: 'Adventure',
  pref_sci_fi: 'Sci-Fi',
  pref_crime: 'Crime',
  pref_horror: 'Horror',
  pref_animation: 'Animation',
} as const;

/**
 * Average rating by genre, 0 where there is none, for users with a rating in at least one of the ten. Those of users
 * who are the same since `follows`, a run whose table is there, are carried over.
 */
export function userGenrePreferences(db: Db, { run, startedAt }: Run, image: number, follows: number | null) {
  const columns = Object.entries(PREFERENCE_GENRES);
  const genres = Object.values(PREFERENCE_GENRES);
  const changed = db
    .selectFrom('bronze.changed_users')
    .where('_batch_id', '=', sql.lit(run))
    .select('bronze.changed_users.user_id');
  // A movie's genres are looked at once, not with each of its ratings.
  const movies = db
    .selectFrom('silver.movies')
    .where('run', '=', sql.lit(run))
    .where(sql<boolean>`genre_list && array[${sql.join(genres.map((genre) => sql.lit(genre)))}]`)
    .select('movie_id')
    .select(columns.map(([column, genre]) => sql<boolean>`${sql.lit(genre)} = any(genre_list)`.as(column)))
    .as('movie');
  const computed = db
    .selectFrom('silver.ratings as rating')
    .innerJoin(movies, 'movie.movie_id', 'rating.movie_id')
    .where('rating.image', '=', sql.lit(image))
    .$if(follows !== null, (query) => query.where(ofChangedUsers(run)))
    .groupBy('rating.user_id')
    .select([sql.lit(run).as('run'), 'rating.user_id'])
    .select(
      columns.map(([column]) => {
        // Whole half-stars: their average is exact.
        const ofGenre = sql`avg((rating.rating * 2)::integer) filter (where movie.${sql.ref(column)})`;
        return rounded(sql`coalesce(${ofGenre}, 0) / 2`, 4).as(column);
      }),
    )
    .select(instant(startedAt).as('_computed_at'));
  if (follows === null) return computed;
  const carried = db
    .selectFrom('store.user_genre_preferences as before')
    .where('run', '=', sql.lit(follows))
    .where(sql<boolean>`not exists (select from (${changed}) changed where changed.user_id = before.user_id)`)
    .select([sql.lit(run).as('run'), 'user_id'])
    .select(columns.map(([column]) => sql.ref<number>(column).as(column)))
    .select('_computed_at');
  return carried.unionAll(computed);
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import { attachedRuns, rowsOf } from '../../database/versions.ts';
import type { Session } from '../../database/session.ts';
import type { ActivityDependencies, Run } from '../support/run.ts';
import { followedBy, ofChangedUsers } from '../ingestion/batch.ts';
import { quotient } from './expressions.ts';
import { GENRE_SUMS, sumCopyByGenre } from './genre-sums.ts';

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

/** What a rating counts in a sum of half-stars and of counts: no user has so many ratings that the one runs into the other. */
const ONE = 1 << 24;

/** The average in stars, of one sum of each genre: with averages 25 million ratings take a fifth longer. */
function averageOfGenre(packed: RawBuilder<unknown>): RawBuilder<number> {
  const one = sql.lit(ONE);
  const [halfStars, count] = [sql`${packed} % ${one}`, sql`${packed} / ${one}`];
  return sql`coalesce(${quotient(halfStars, sql`2 * (${count})`)}, 0)`;
}

/** Of a user's ratings. */
function sumOfGenre(column: string): RawBuilder<unknown> {
  return sql`sum(${sql.lit(ONE)} + (rating.rating * 2)::integer) filter (where movie.${sql.ref(column)})`;
}

/**
 * The run whose preferences of users who are the same are the run's too; null where it follows none, or its own are gone:
 * features of a night that was not published are not kept.
 */
export async function preferencesToFollow(db: Db, run: number): Promise<number | null> {
  const follows = await followedBy(db, run);
  if (follows === null) return null;
  return (await attachedRuns(db, 'store.user_genre_preferences')).includes(follows) ? follows : null;
}

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
  const genresOf = (which: (genre: string) => RawBuilder<boolean>) =>
    columns.map(([column, genre]) => which(genre).as(column));
  const includes = (genre: string) => sql<boolean>`${sql.lit(genre)} = any(genre_list)`;
  const ofTheTen = db
    .selectFrom('silver.movies')
    .where('run', '=', sql.lit(run))
    .where(sql<boolean>`genre_list && array[${sql.join(genres.map((genre) => sql.lit(genre)))}]`)
    .select('movie_id');
  // Of all ratings grouped, so that a movie's genres are looked at once: otherwise the planner does so with each rating. Of
  // few it does not matter, and how many groups there are it guesses wrong.
  const movies =
    follows === null
      ? ofTheTen
          .groupBy('movie_id')
          .select(genresOf((genre) => sql`bool_or(${includes(genre)})`))
          .as('movie')
      : ofTheTen.select(genresOf(includes)).as('movie');
  const computed = db
    .selectFrom(rowsOf('silver.ratings', image).as('rating'))
    .innerJoin(movies, 'movie.movie_id', 'rating.movie_id')
    .$if(follows !== null, (query) => query.where(ofChangedUsers(run)))
    .groupBy('rating.user_id')
    .select([sql.lit(run).as('run'), 'rating.user_id'])
    .select(columns.map(([column]) => averageOfGenre(sumOfGenre(column)).as(column)))
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

/**
 * The same of a whole snapshot by sums over this host's copy of it.
 * @returns null where there is no such copy
 */
export async function preferencesByCopy(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder'>,
  session: Session,
  context: Run,
  signal: AbortSignal,
) {
  const given = { genres: PREFERENCE_GENRES, one: ONE, signal };
  if (!(await sumCopyByGenre(dependencies, session, context, given))) return null;
  const columns = Object.keys(PREFERENCE_GENRES);
  const isOfGenre = sql.join(
    columns.map((column) => sql`${sql.ref(column)} > 0`),
    sql` or `,
  );
  return session.db
    .selectFrom(
      sql<{ user_id: number }>`(select * from ${sql.table(GENRE_SUMS)} where ${isOfGenre})`.as('sums'),
    )
    .select([sql.lit(context.run).as('run'), 'user_id'])
    .select(columns.map((column) => averageOfGenre(sql`nullif(${sql.ref(column)}, 0)::bigint`).as(column)))
    .select(instant(context.startedAt).as('_computed_at'));
}

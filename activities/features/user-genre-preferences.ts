import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { gather } from '../../database/gather.ts';
import type { Database } from '../../database/types/index.ts';
import type { Session } from '../../database/session.ts';
import { instant } from '../../database/constants.ts';
import { attachedRuns, leavesOf, rowsOf } from '../../database/versions.ts';
import type { Run } from '../support/run.ts';
import { followedBy, ofChangedUsers } from '../ingestion/batch.ts';

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

/**
 * The average in stars, rounded half up at four digits: by whole numbers, in which it is exact, and in one sum of each
 * genre: with averages 25 million ratings take a fifth longer.
 */
function averageOfGenre(column: string): RawBuilder<number> {
  const one = sql.lit(ONE);
  const packed = sql`sum(${one} + (rating.rating * 2)::integer) filter (where movie.${sql.ref(column)})`;
  const [halfStars, count] = [sql`(${packed} % ${one})`, sql`(${packed} / ${one})`];
  return sql`coalesce((${halfStars} * 10000 + ${count}) / (2 * ${count}), 0) / 10000.0::double precision`;
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

const columns = Object.entries(PREFERENCE_GENRES);

/** The movies of a run that have one of the ten genres, and for each of these whether they have it. */
function moviesByGenre(db: Db, run: number, { grouped }: { grouped: boolean }) {
  const genres = Object.values(PREFERENCE_GENRES);
  const genresOf = (which: (genre: string) => RawBuilder<boolean>) =>
    columns.map(([column, genre]) => which(genre).as(column));
  const includes = (genre: string) => sql<boolean>`${sql.lit(genre)} = any(genre_list)`;
  const ofTheTen = db
    .selectFrom('silver.movies')
    .where('run', '=', sql.lit(run))
    .where(sql<boolean>`genre_list && array[${sql.join(genres.map((genre) => sql.lit(genre)))}]`)
    .select('movie_id');
  return grouped
    ? ofTheTen
        .groupBy('movie_id')
        .select(genresOf((genre) => sql`bool_or(${includes(genre)})`))
        .as('movie')
    : ofTheTen.select(genresOf(includes)).as('movie');
}

/**
 * Average rating by genre, 0 where there is none, for users with a rating in at least one of the ten.
 * @param ratings those to go by
 */
function averages(
  db: Db,
  { run, startedAt }: Run,
  ratings: RawBuilder<Selectable<Database['silver.ratings']>>,
  movies: ReturnType<typeof moviesByGenre>,
) {
  return db
    .selectFrom(ratings.as('rating'))
    .innerJoin(movies, 'movie.movie_id', 'rating.movie_id')
    .groupBy('rating.user_id')
    .select([sql.lit(run).as('run'), 'rating.user_id'])
    .select(columns.map(([column]) => averageOfGenre(column).as(column)))
    .select(instant(startedAt).as('_computed_at'));
}

/** Preferences of all users of an image, of whose parts each has users of its own. */
export async function allPreferences(
  connection: Connection,
  session: Session,
  context: Run,
  image: number,
  signal: AbortSignal,
): Promise<RawBuilder<unknown>> {
  const { db } = session;
  // Grouped, so that a movie's genres are looked at once: otherwise the planner does so with each rating.
  const movies = moviesByGenre(db, context.run, { grouped: true });
  const parts = await leavesOf(db, 'silver.ratings', image);
  await gather(
    connection,
    session,
    {
      table: 'preferences',
      columns: ['run', 'user_id', ...Object.keys(PREFERENCE_GENRES), '_computed_at'],
    },
    parts.map((part) => averages(db, context, part, movies)),
    signal,
  );
  return sql`select * from preferences`;
}

/** The same where those of users who are the same since `follows`, a run whose table is there, are carried over. */
export function preferencesAfter(db: Db, context: Run, image: number, follows: number) {
  const { run } = context;
  const changed = db
    .selectFrom('bronze.changed_users')
    .where('_batch_id', '=', sql.lit(run))
    .select('bronze.changed_users.user_id');
  // Of few ratings the planner guesses wrong how many groups there would be.
  const movies = moviesByGenre(db, run, { grouped: false });
  const computed = averages(db, context, rowsOf('silver.ratings', image), movies).where(ofChangedUsers(run));
  const carried = db
    .selectFrom('store.user_genre_preferences as before')
    .where('run', '=', sql.lit(follows))
    .where(sql<boolean>`not exists (select from (${changed}) changed where changed.user_id = before.user_id)`)
    .select([sql.lit(run).as('run'), 'user_id'])
    .select(columns.map(([column]) => sql.ref<number>(column).as(column)))
    .select('_computed_at');
  return carried.unionAll(computed);
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { constantIds } from '../../database/constants.ts';
import { imageOf } from '../../database/snapshots.ts';
import { exportedWidth } from '../../recommender/index.ts';
import { readSelection } from '../selection/result.ts';
import type { Run } from '../support/run.ts';
import { PREFERENCE_GENRES, preferencesToFollow } from '../features/user-genre-preferences.ts';
import { changedUsers, ofChangedUsers } from '../ingestion/batch.ts';
import type { Measurements, Observation } from './check.ts';

/** Two counts that must be equal: observed is their difference. */
function equal(found: number, expected: number): Observation {
  return expected === 0
    ? { observed: null, finding: 'an empty snapshot' }
    : { observed: Math.abs(found - expected), finding: `${found} rows for ${expected}` };
}

/**
 * Features against the snapshot: its users and movies, which the silver gate has held against its ratings, and who has
 * rated one of the ten genres.
 */
export async function measureFeatures(db: Db, { run }: Run): Promise<Measurements> {
  const at = sql.lit(run);
  const { rows } = await sql<
    Record<'users' | 'movies' | 'tasted' | 'userRows' | 'movieRows' | 'tasteRows', number>
  >`
    select (select count(*) from gold.user_totals where run = ${at}) as users,
           (select count(*) from gold.movie_totals where run = ${at}) as movies,
           (${await countTasted(db, run)}) as tasted,
           (select count(*) from store.user_features where run = ${at}) as "userRows",
           (select count(*) from store.movie_features where run = ${at}) as "movieRows",
           (select count(*) from store.user_genre_preferences where run = ${at}) as "tasteRows"`.execute(db);
  const [counts] = rows;
  return {
    checks: {
      user_feature_rows: equal(counts.userRows, counts.users),
      movie_feature_rows: equal(counts.movieRows, counts.movies),
      // Nobody need have a taste for one of the ten genres.
      genre_preference_rows:
        counts.users > 0 && counts.tasted === 0
          ? { observed: counts.tasteRows }
          : equal(counts.tasteRows, counts.tasted),
    },
  };
}

/**
 * Who has rated one of the ten genres, by the first such rating that the index of each user's pairs finds. Where preferences
 * are carried over, of the users who have changed; of the others, who had some before.
 */
async function countTasted(db: Db, run: number): Promise<RawBuilder<unknown>> {
  const at = sql.lit(run);
  const image = sql.lit(await imageOf(db, run));
  const genres = sql.join(Object.values(PREFERENCE_GENRES).map((genre) => sql.lit(genre)));
  const ofTheTen = await constantIds(
    db,
    sql`select movie_id from silver.movies where run = ${at} and genre_list && array[${genres}]`,
    'integer',
  );
  // The movies as constants, and not by the column itself: for one row PostgreSQL may else look up movie by movie whether the user
  // has rated it, which took minutes of 32 million ratings.
  const found = (users: RawBuilder<boolean>) => sql`
    select count(*) from (select user_id from gold.user_totals where run = ${at} and ${users}) u
    cross join lateral (
      select from silver.ratings r
      where r.image = ${image} and r.user_id = u.user_id and r.movie_id + 0 = any(${sql.raw(ofTheTen)})
      limit 1
    ) one`;
  const follows = await preferencesToFollow(db, run);
  if (follows === null) return found(sql`true`);
  return sql`
    select (${found(ofChangedUsers(run))}) + count(*) from store.user_genre_preferences before
    where run = ${sql.lit(follows)}
      and not exists (select from (${changedUsers(run)}) changed where changed.user_id = before.user_id)`;
}

/** Factors of the version to be served, in one pass over each side. */
export async function measureModel(db: Db, { run }: Run): Promise<Measurements> {
  const at = sql.lit(run);
  const factors = sql`(
    select factors from store.user_factors where run = ${at}
    union all
    select factors from store.item_factors where run = ${at}
  )`;
  if ((await sql`select from ${factors} f limit 1`.execute(db)).rows.length === 0) return { checks: {} };
  const { parameters } = await readSelection(db, run);
  const { rows } = await sql<{ rows: number; expected: number; uneven: number; infinite: number }>`
    select count(*) as rows,
           (select users + rated_movies from silver.snapshots where run = ${at}) as expected,
           count(*) filter (where cardinality(factors) <> ${sql.lit(exportedWidth(parameters))}) as uneven,
           count(*) filter (where factors && array['NaN', 'Infinity', '-Infinity']::real[]) as infinite
    from ${factors} f`.execute(db);
  const [{ rows: found, expected, uneven, infinite }] = rows;
  return {
    checks: {
      factors_complete: {
        observed: Math.abs(found - expected) + uneven,
        finding: `${found} rows for ${expected}, ${uneven} of another length than the configuration has`,
      },
      factors_finite: { observed: infinite },
    },
  };
}

/** Exact sums by user and by movie, from which features, statistics and what is trending are made. */

import { type RawBuilder, sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { gather } from '../../database/gather.ts';
import type { Session } from '../../database/session.ts';
import { constantIds } from '../../database/constants.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import { createPartitionAs, leavesOf, rowsOf } from '../../database/versions.ts';
import { ofChangedUsers } from './batch.ts';
import { ADDED, REMOVED } from './changed-image.ts';
import { joinFingerprints, ownRowHash } from './fingerprints.ts';
import { type ReadImage, readImage } from './read-image.ts';

/** A rating of at least this is positive, one of at most that negative. */
const POSITIVE = 4.0;
const NEGATIVE = 2.0;

/** Sums over the ratings of one user or movie. Half-stars are whole numbers, so that no order of adding changes them. */
const sums = sql`
  count(*)::integer as ratings,
  sum((rating * 2)::integer)::bigint as half_stars,
  sum((rating * rating * 4)::integer)::bigint as half_stars_squared,
  (count(*) filter (where rating >= ${sql.lit(POSITIVE)}))::integer as positive,
  (count(*) filter (where rating <= ${sql.lit(NEGATIVE)}))::integer as negative,
  min(rating_timestamp) as first_at, max(rating_timestamp) as last_at`;

/** Of several such sums, but for the timestamps. */
const joinedSums = sql`
  sum(ratings)::integer as ratings, sum(half_stars)::bigint as half_stars,
  sum(half_stars_squared)::bigint as half_stars_squared, sum(positive)::integer as positive,
  sum(negative)::integer as negative`;

/** Totals of every user and rated movie after those of `follows`: of users who are the same since they are carried over. */
export async function keepTotalsAfter(db: Db, run: number, image: number, follows: number): Promise<void> {
  await createPartitionAs(db, 'gold.user_totals', run, userTotalsAfter(run, image, follows));
  const ofMovies = (await wasReopened(db, run))
    ? totals(run, image, 'movie_id', sql`true`)
    : await movieTotalsAfter(db, run, image, follows);
  await createPartitionAs(db, 'gold.movie_totals', run, ofMovies);
}

/**
 * How many ratings of each value an image has: those of `follows`, less what has left it and with what has come into it. Null
 * where that cannot be told without looking at all of them, as the silver gate then does.
 */
export async function ratingCountsAfter(db: Db, run: number, follows: number): Promise<RatingCounts | null> {
  if (await wasReopened(db, run)) return null;
  const { rows } = await sql<{ counts: RatingCounts | null }>`
    select case when before.rating_counts is not null then (
      select coalesce(jsonb_object_agg(rating, ratings), '{}') from (
        select rating, sum(ratings) as ratings from (
          select key::real as rating, value::bigint as ratings from jsonb_each(before.rating_counts)
          union all select rating, count(*) from ${ADDED} a group by rating
          union all select rating, -count(*) from ${REMOVED} r group by rating
        ) moved group by rating having sum(ratings) <> 0
      ) counted
    ) end as counts
    from silver.snapshots before where run = ${sql.lit(follows)}`.execute(db);
  return rows[0].counts;
}

/** Sums over the whole image of `run`, which has so many `rows`, for `keepTotals`; and what else its ratings tell. */
export async function sumImage(
  connection: Connection,
  session: Session,
  { run, rows }: { run: number; rows: number },
  signal: AbortSignal,
): Promise<ReadImage> {
  const parts = await leavesOf(session.db, 'silver.ratings', run);
  const hash = await ownRowHash(session.db);
  await gather(
    connection,
    session,
    'by_user',
    parts.map(
      (part) => sql`select user_id, ${sums}, sum(${hash}) as hashes from ${sql.raw(part)} group by user_id`,
    ),
    signal,
  );
  const thresholds = { positive: 2 * POSITIVE, negative: 2 * NEGATIVE };
  return readImage(connection, session, { run, rows, table: 'by_movie', ...thresholds }, signal);
}

/** Whether the run may have brought the image up to date before: then what it changes now is not all that it has. */
async function wasReopened(db: Db, run: number): Promise<boolean> {
  const reopening = await db
    .selectFrom('pipeline.reopenings')
    .select('run')
    .where('run', '=', run)
    .executeTakeFirst();
  return reopening !== undefined;
}

/** Totals of every user and rated movie, and the fingerprints of all users, by `sumImage` and what was not accepted. */
export async function keepTotals(db: Db, run: number): Promise<void> {
  await createPartitionAs(
    db,
    'gold.user_totals',
    run,
    sql`
      select ${sql.lit(run)} as run, user_id, ratings, half_stars, half_stars_squared, positive, negative, first_at, last_at
      from by_user`,
  );
  await createPartitionAs(
    db,
    'gold.movie_totals',
    run,
    sql`
      select ${sql.lit(run)} as run, movie_id, ratings, half_stars, half_stars_squared, positive, negative, first_at, last_at
      from by_movie`,
  );
  await createPartitionAs(
    db,
    'bronze.fingerprints',
    run,
    sql`
      select ${sql.lit(run)} as _batch_id, f.* from (${joinFingerprints(
        sql`select user_id::bigint as user_id, ratings::bigint as ratings, hashes from by_user`,
        sql`silver.rejected_ratings where _batch_id = ${sql.lit(run)}`,
        sql`silver.superseded_ratings where _batch_id = ${sql.lit(run)}`,
      )}) f`,
  );
}

function totals(
  run: number,
  image: number,
  key: 'user_id' | 'movie_id',
  where: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    select ${sql.lit(run)} as run, ${sql.ref(key)}, ${sums}
    from ${rowsOf('silver.ratings', image)} where ${where} group by ${sql.ref(key)}`;
}

function userTotalsAfter(run: number, image: number, follows: number): RawBuilder<unknown> {
  const changed = sql`select user_id from bronze.changed_users where _batch_id = ${sql.lit(run)}`;
  return sql`
    select ${sql.lit(run)} as run, user_id, ratings, half_stars, half_stars_squared, positive, negative, first_at, last_at
    from gold.user_totals before
    where run = ${sql.lit(follows)} and not exists (select from (${changed}) c where c.user_id = before.user_id)
    union all
    ${totals(run, image, 'user_id', ofChangedUsers(run))}`;
}

/**
 * Those of before, less what has left the image and with what has come into it. Only when a movie was rated first and last
 * cannot be told so where such a rating has left: for those movies the image is read.
 */
async function movieTotalsAfter(
  db: Db,
  run: number,
  image: number,
  follows: number,
): Promise<RawBuilder<unknown>> {
  const before = sql`(select * from gold.movie_totals where run = ${sql.lit(follows)})`;
  const moved = await constantIds(
    db,
    sql`
      select distinct movie_id from ${REMOVED} r join ${before} b using (movie_id)
      where r.rating_timestamp <= b.first_at or r.rating_timestamp >= b.last_at`,
    'integer',
  );
  return sql`
    select ${sql.lit(run)} as run, t.movie_id, ${joinedSums},
           coalesce(min(e.first_at), min(t.first_at)) as first_at, coalesce(max(e.last_at), max(t.last_at)) as last_at
    from (
      select movie_id, ratings, half_stars, half_stars_squared, positive, negative, first_at, last_at from ${before} b
      union all
      select movie_id, ${sums} from ${ADDED} a group by movie_id
      union all
      select movie_id, -ratings, -half_stars, -half_stars_squared, -positive, -negative, null, null
      from (select movie_id, ${sums} from ${REMOVED} r group by movie_id) r
    ) t
    left join (
      select movie_id, min(rating_timestamp) as first_at, max(rating_timestamp) as last_at
      from ${rowsOf('silver.ratings', image)}
      -- Not the column itself: PostgreSQL 18 would go through the whole index, which is by user, and with one process.
      where cardinality(${sql.raw(moved)}) > 0 and movie_id + 0 = any(${sql.raw(moved)})
      group by movie_id
    ) e on e.movie_id = t.movie_id
    group by t.movie_id having sum(ratings) > 0`;
}

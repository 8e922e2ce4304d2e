/** The columns of a batch, and what they are in the source: types loose enough for any dirt. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';

export const RATING_COLUMNS = [
  '_batch_id',
  '_ingested_at',
  'user_id',
  'movie_id',
  'rating',
  'rating_timestamp',
];
export const MOVIE_COLUMNS = ['_batch_id', '_ingested_at', 'movie_id', 'title', 'genres'];

/** A rating of the source in the types of bronze. */
export const ratingAsRead = sql`
  user_id::bigint as user_id, movie_id::bigint as movie_id, rating::double precision as rating,
  rating_timestamp::timestamptz as rating_timestamp`;

/** The ratings of the source that fulfil a condition. */
export function ratingsOfSource(context: Run, where: string): RawBuilder<unknown> {
  return sql`select ${provenance(context)}, ${ratingAsRead} from movielens.ratings where ${sql.raw(where)}`;
}

/** The catalogue of the source. */
export function moviesOfSource(context: Run): RawBuilder<unknown> {
  return sql`
    select ${provenance(context)}, movie_id::bigint as movie_id, title::text as title, genres::text as genres
    from movielens.movies`;
}

function provenance({ run, startedAt }: Run): RawBuilder<unknown> {
  return sql`${sql.lit(run)}::integer as _batch_id, ${sql.lit(startedAt.toISOString())}::timestamptz as _ingested_at`;
}

/**
 * Condition that a rating of an image is of a user whom the run's batch changes. As an array, which leads the planner to
 * look each of them up in the index: by a join it reads the whole image.
 */
export function ofChangedUsers(run: number): RawBuilder<boolean> {
  return sql`user_id = any(array(${changedUsers(run)}))`;
}

/** The users whom the run's batch changes, those whom silver may know: `user_id`. */
export function changedUsers(run: number): RawBuilder<unknown> {
  return sql`
    select user_id::integer as user_id from bronze.changed_users
    where _batch_id = ${sql.lit(run)} and user_id between -2147483648 and 2147483647`;
}

/** The run whose snapshot a run's batch changes; null where it is the whole source, or there is none. */
export async function followedBy(db: Db, run: number): Promise<number | null> {
  const batch = await db
    .selectFrom('bronze.batches')
    .select('follows')
    .where('_batch_id', '=', run)
    .executeTakeFirst();
  return batch?.follows ?? null;
}

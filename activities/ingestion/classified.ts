import { type RawBuilder, sql } from 'kysely';
import { refusalReason } from './refusal-reason.ts';

/** A run's batch with each row's reason for being refused, null where there is none. */
export function classified(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`(
    select b._batch_id, b.user_id, b.movie_id, b.rating, b.rating_timestamp, ${refusalReason(asOf)} as reason
    from bronze.ratings b
    left join silver.movies m on m.run = ${sql.lit(run)} and m.movie_id = b.movie_id
    where b._batch_id = ${sql.lit(run)}
  )`;
}

/** The rows that a run's batch is refused, with their reasons. */
export function refused(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`
    select _batch_id, user_id, movie_id, rating, rating_timestamp, reason
    from ${classified(run, asOf)} c where reason is not null`;
}

/** The rows that it is not, in the types of silver. */
export function accepted(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`
    select user_id::integer as user_id, movie_id::integer as movie_id, rating::real as rating, rating_timestamp
    from ${classified(run, asOf)} c where reason is null`;
}

/** Of the ratings of one user and movie the latest counts; at equal timestamps the larger. */
export const latestFirst = sql`rating_timestamp desc, rating desc`;

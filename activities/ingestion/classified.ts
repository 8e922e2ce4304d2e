import { type RawBuilder, sql } from 'kysely';
import { rowsOf } from '../../database/versions.ts';
import { refusalReason } from './refusal-reason.ts';

/** Rows as read with each one's reason for being refused by the catalogue of a run, null where there is none. */
function classified(rows: RawBuilder<unknown>, run: number, asOf: Date): RawBuilder<unknown> {
  return sql`(
    select b.*, ${refusalReason(asOf)} as reason
    from ${rows} b
    left join silver.movies m on m.run = ${sql.lit(run)} and m.movie_id = b.movie_id
  )`;
}

const batch = (run: number): RawBuilder<unknown> => rowsOf('bronze.ratings', run);

/** The rows that a run's batch is refused, with their reasons. */
export function refused(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`
    select _batch_id, user_id, movie_id, rating, rating_timestamp, reason
    from ${classified(batch(run), run, asOf)} c where reason is not null`;
}

/**
 * The rows that it is not, in the types of silver.
 * @param all whether that is known to be all of them: to ask each row again would take two thirds as long as to write it
 */
export function accepted(run: number, asOf: Date, all = false): RawBuilder<unknown> {
  return all ? sql`select ${silverColumns} from ${batch(run)} b` : acceptedOf(batch(run), run, asOf);
}

const silverColumns = sql`
  user_id::integer as user_id, movie_id::integer as movie_id, rating::real as rating, rating_timestamp`;

/** Of any rows as read those that the catalogue of a run takes. */
export function acceptedOf(rows: RawBuilder<unknown>, run: number, asOf: Date): RawBuilder<unknown> {
  return sql`
    select ${silverColumns} from ${classified(rows, run, asOf)} c where reason is null`;
}

/** Of the ratings of one user and movie the latest counts; at equal timestamps the larger. */
export const latestFirst = sql`rating_timestamp desc, rating desc`;

import { type RawBuilder, sql } from 'kysely';
import { instant } from '../../database/constants.ts';
import type { RejectionReason } from '../../database/types/index.ts';

/** Version of these rules and of the fingerprints: a snapshot that was made by others is not brought up to date but built anew. */
export const SILVER_RULES = 3;

/** Whether a row of the catalogue as read names a movie that ratings may speak of. */
export const isCatalogued = sql<boolean>`(movie_id between -2147483648 and 2147483647 and title is not null)`;

/** Whether a rating `b` is refused for no reason, given whether its movie is in the catalogue; null may stand for false. */
export function isAccepted(asOf: Date, isKnown: RawBuilder<boolean>): RawBuilder<boolean> {
  return sql`(${isAcceptedIn(isKnown)} and b.rating_timestamp <= ${instant(asOf)})`;
}

/** The same whatever the as-of: some as-of would not refuse it, or only for being after it. */
export function isAcceptedIn(isKnown: RawBuilder<boolean>): RawBuilder<boolean> {
  return sql`(${isKnown} and b.user_id between -2147483648 and 2147483647
    and b.rating = any('{0.5,1,1.5,2,2.5,3,3.5,4,4.5,5}'::double precision[]) and isfinite(b.rating_timestamp))`;
}

/**
 * Why a rating `b` is refused, null where it is not; `m` is its movie in the catalogue, if it has one. The first reason
 * that applies decides; the order is that of `RejectionReason`.
 */
export function refusalReason(asOf: Date): RawBuilder<RejectionReason | null> {
  // Nearly every row is good and ends here: the reasons one by one take half as long again.
  return sql`case
    when ${isAccepted(asOf, sql`m.movie_id is not null`)} then null
    when b.user_id is null or b.movie_id is null then 'null_key'
    when b.user_id not between -2147483648 and 2147483647
      or b.movie_id not between -2147483648 and 2147483647 then 'id_out_of_range'
    when b.rating is null then 'null_rating'
    when b.rating_timestamp is null or not isfinite(b.rating_timestamp) then 'invalid_timestamp'
    when b.rating not between 0.5 and 5.0 or b.rating * 2 <> trunc(b.rating * 2) then 'rating_out_of_domain'
    when m.movie_id is null then 'unknown_movie'
    when b.rating_timestamp > ${instant(asOf)} then 'after_as_of'
  end`;
}

/** How a change in the source is found without trusting anything that the source says about it. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';

/** The largest prime below 2^63: a sum of 64-bit hashes is kept as its remainder, which is a bigint. */
const MODULUS = '9223372036854775783';

/**
 * Hash of a row of ratings by functions of PostgreSQL's own hash indexes, which 15 to 18 have: each column's with the hash of those
 * before as its seed, that of a null a hash of it. In types that the columns of the source and of what was read of it share, so
 * that a row has one hash in both; `hashInstant` is that of UTC, in which all our sessions are.
 */
function hashOfRow(hashInstant: (seed: RawBuilder<unknown>) => RawBuilder<unknown>): RawBuilder<unknown> {
  const movie = sql`coalesce(movie_id::bigint, '-9223372036854775808')`;
  const rated = sql`coalesce(hashfloat8extended(rating::double precision, ${movie}), hashint8extended(${movie}, 1))`;
  return sql`coalesce(${hashInstant(rated)}, hashint8extended(${rated}, 2))`;
}

const rowHash = hashOfRow((seed) => sql`timestamp_hash_extended(rating_timestamp::timestamp, ${seed})`);

/**
 * The same hash for rows of our own, whose timestamps have a time zone: since PostgreSQL 18 without turning each into one that has
 * none, which takes as long as to hash all of the row.
 */
export async function ownRowHash(db: Db): Promise<RawBuilder<unknown>> {
  const { rows } = await sql<{ has: boolean }>`
    select to_regprocedure('timestamptz_hash_extended(timestamptz, bigint)') is not null as has`.execute(db);
  return rows[0].has
    ? hashOfRow((seed) => sql`timestamptz_hash_extended(rating_timestamp, ${seed})`)
    : rowHash;
}

/** A sum of hashes as it is kept. */
const checksum = (hashes: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`mod(${hashes}, ${sql.raw(MODULUS)})::bigint as checksum`;

/**
 * One row a user of `ratings` (`table where condition`): how many rows it has, and the sum of their hashes, which any
 * insertion, correction or deletion changes whatever its timestamp. Rows without a user have no fingerprint.
 */
export function fingerprints(ratings: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    select user_id::bigint as user_id, count(*) as ratings, ${checksum(sql`sum(${rowHash})`)}
    from ${ratings} and user_id is not null group by user_id`;
}

/**
 * The same of rows that lie in several tables.
 * @param sums what is known of some by user: number of rows, and sum of their hashes
 * @param rest the others, each `table where condition`
 */
export function joinFingerprints(
  sums: RawBuilder<unknown>,
  ...rest: RawBuilder<unknown>[]
): RawBuilder<unknown> {
  const others = rest.map(
    (table) => sql`
      select user_id::bigint as user_id, count(*) as ratings, sum(${rowHash}) as hashes
      from ${table} and user_id is not null group by user_id`,
  );
  return sql`
    select user_id, sum(ratings)::bigint as ratings, ${checksum(sql`sum(hashes)`)}
    from (${sql.join([sums, ...others], sql` union all `)}) f group by user_id`;
}

/** Users whose fingerprints differ between two tables of fingerprints, or that only one of them has. */
export function differingUsers(one: RawBuilder<unknown>, other: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    select user_id from ${one} one full join ${other} other using (user_id)
    where one.ratings is distinct from other.ratings or one.checksum is distinct from other.checksum`;
}

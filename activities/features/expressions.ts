/** What columns of the feature tables are made of: the exact totals of a user or a movie. */

import { type RawBuilder, sql } from 'kysely';

/** Rounds half away from zero at `digits`, as a double. */
export function rounded(value: RawBuilder<unknown>, digits: number): RawBuilder<number> {
  return sql`round((${value})::numeric, ${sql.lit(digits)})::double precision`;
}

/** The quotient of two whole numbers, none below zero, rounded half up at four digits: by whole numbers, in which it is exact. */
export function quotient(
  numerator: RawBuilder<unknown>,
  denominator: RawBuilder<unknown>,
): RawBuilder<number> {
  const [n, d] = [sql`(${numerator})::bigint`, sql`(${denominator})::bigint`];
  return sql`(${n} * 20000 + ${d}) / (2 * ${d}) / 10000.0::double precision`;
}

/** Mean rating in stars. */
export const averageStars = quotient(sql`half_stars`, sql`2 * ratings`);

/** Sample standard deviation in stars; null for one rating. */
export const deviation = sql<number | null>`
  case when ratings > 1 then
    sqrt((ratings * half_stars_squared - half_stars * half_stars)::numeric / (ratings::bigint * (ratings - 1))) / 2
  end`;

/** The share of ratings that are positive. */
export const positiveShare = quotient(sql`positive`, sql`ratings`);

/** What columns of the feature tables are made of: the exact totals of a user or a movie. */

import { type RawBuilder, sql } from 'kysely';

/** Rounds half away from zero at `digits`, as a double. */
function rounded(value: RawBuilder<unknown>, digits: number): RawBuilder<number> {
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

const squares = sql`(ratings * half_stars_squared - half_stars * half_stars)`;
const pairs = sql`(ratings::bigint * (ratings - 1))`;
/** The deviation in units of its fourth digit. */
const scaled = sql`(5000 * sqrt(${squares}::double precision / ${pairs}))`;

/**
 * Sample standard deviation in stars, rounded half up at four digits; null for one rating. By doubles, which take a third of what
 * numerics do, but where it is so near the middle between two values that those might round it to the other.
 */
export const deviation = sql<number | null>`
  case when ratings > 1 then
    case when abs(${scaled} - floor(${scaled}) - 0.5) > 1e-6 then floor(${scaled} + 0.5) / 10000
      else ${rounded(sql`sqrt(${squares}::numeric / ${pairs}) / 2`, 4)} end
  end`;

/** The share of ratings that are positive. */
export const positiveShare = quotient(sql`positive`, sql`ratings`);

/** What columns of the feature tables are made of: the exact totals of a user or a movie. */

import { type RawBuilder, sql } from 'kysely';

/** Rounds half away from zero at `digits`, as a double. */
export function rounded(value: RawBuilder<unknown>, digits: number): RawBuilder<number> {
  return sql`round((${value})::numeric, ${sql.lit(digits)})::double precision`;
}

/** Mean rating in stars. */
export const averageStars = sql<number>`half_stars::numeric / (2 * ratings)`;

/** Sample standard deviation in stars; null for one rating. */
export const deviation = sql<number | null>`
  case when ratings > 1 then
    sqrt((ratings * half_stars_squared - half_stars * half_stars)::numeric / (ratings::bigint * (ratings - 1))) / 2
  end`;

/** The share of ratings that a column counts. */
export function share(column: 'positive'): RawBuilder<number> {
  return sql`${sql.ref(column)}::numeric / ratings`;
}

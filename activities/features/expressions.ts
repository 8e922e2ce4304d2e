import { type RawBuilder, sql } from 'kysely';

/**
 * Rounds half away from zero at `digits`, as a double. Averages of half-stars are doubles whose 15 digits, all
 * that the cast to numeric keeps, hold every tie exactly.
 */
export function rounded(value: RawBuilder<unknown>, digits: number): RawBuilder<number> {
  return sql`round((${value})::numeric, ${sql.lit(digits)})::double precision`;
}

/** Count of the group's rows. */
export const total = sql<number>`count(*)::integer`;

/** Sum of half-stars is exact in whatever order a parallel plan adds it up. */
export const average = sql<number>`avg(rating)`;

/**
 * Sample standard deviation from sums of whole half-stars, which are exact in whatever order a parallel plan adds
 * them up; null for one rating.
 */
export const deviation = sql<number | null>`
  case when count(*) > 1 then
    sqrt((count(*) * sum((rating * rating * 4)::integer) - sum((rating * 2)::integer) * sum((rating * 2)::integer))::numeric
      / (count(*) * (count(*) - 1))) / 2
  end`;

/** A rating of at least this is positive, one of at most that negative. */
export const positive = sql<boolean>`rating >= 4.0`;
export const negative = sql<boolean>`rating <= 2.0`;

/** Number of the group's rows that fulfil a condition. */
export function countWhere(condition: RawBuilder<boolean>): RawBuilder<number> {
  return sql`count(*) filter (where ${condition})::integer`;
}

/** An instant that is fixed for the run. */
export function instant(at: Date): RawBuilder<Date> {
  return sql`${sql.lit(at.toISOString())}::timestamptz`;
}

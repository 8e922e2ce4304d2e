/** What a snapshot is in numbers, and how far they are from those of the last good nights. */

import { sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, SAMPLE_ROWS } from './check.ts';

const RATING_VALUES = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5];
const shareOf = (rating: number): string => `share_${rating.toFixed(1)}`;

/** By the name that `quality.source_statistics` has for it. */
export type Statistics = Record<string, number>;

/** Number and mean of the ratings, and the share of each value; nothing where there are none. */
export function statisticsOf(counts: RatingCounts): Statistics | undefined {
  const all = sumOf(counts);
  if (all === 0) return undefined;
  const byValue = new Map(Object.entries(counts));
  const total = Object.entries(counts).reduce((sum, [rating, ratings]) => sum + Number(rating) * ratings, 0);
  return {
    ratings: all,
    mean_rating: total / all,
    ...Object.fromEntries(
      RATING_VALUES.map((rating) => [shareOf(rating), (byValue.get(String(rating)) ?? 0) / all]),
    ),
  };
}

/** Rows of a query, one a value, as what they come to. */
export function countsOf(rows: readonly { rating: number; ratings: number }[]): RatingCounts {
  return Object.fromEntries(rows.map(({ rating, ratings }) => [String(rating), ratings]));
}

/** All ratings, of whatever value. */
export function sumOf(counts: RatingCounts): number {
  return Object.values(counts).reduce((sum, ratings) => sum + ratings, 0);
}

export async function keepStatistics(db: Db, run: number, statistics: Statistics): Promise<void> {
  await db
    .insertInto('quality.source_statistics')
    .values(Object.entries(statistics).map(([statistic, value]) => ({ run, statistic, value })))
    .onConflict((conflict) =>
      conflict.columns(['run', 'statistic']).doUpdateSet((row) => ({ value: row.ref('excluded.value') })),
    )
    .execute();
}

interface History {
  nights: number;
  /** The median of each statistic: one odd night among three does not move it. */
  medians: Statistics;
}

/** The last good nights of an earlier as-of, none before one that began the history anew. */
async function readHistory(db: Db, asOf: Date, { runs }: Settings['quality']['history']): Promise<History> {
  const { rows } = await sql<{ statistic: string; median: number; nights: number }>`
    with good as (
      select r.run, r.as_of, coalesce((r.settings #>> '{quality,history,restart}')::boolean, false) as restart
      from pipeline.runs r
      where r.status = 'success' and r.as_of < ${sql.lit(asOf.toISOString())}::timestamptz
        and exists (select from quality.source_statistics s where s.run = r.run)
    ),
    last_good as (
      select run from good
      where as_of >= coalesce((select max(as_of) from good where restart), '-infinity')
      order by as_of desc limit ${sql.lit(runs)}
    )
    select statistic, percentile_cont(0.5) within group (order by value) as median, count(*) as nights
    from quality.source_statistics join last_good using (run)
    group by statistic`.execute(db);
  return {
    nights: rows.find(({ statistic }) => statistic === 'ratings')?.nights ?? 0,
    medians: Object.fromEntries(rows.map(({ statistic, median }) => [statistic, median])),
  };
}

/** Holds a snapshot's numbers against the last good nights; a snapshot of nothing against nothing. */
export async function measureHistory(
  db: Db,
  statistics: Statistics | undefined,
  { asOf, settings }: Pick<Run, 'asOf' | 'settings'>,
): Promise<Measurements['checks']> {
  if (statistics === undefined) return {};
  const { minimumRuns, restart } = settings.quality.history;
  const { nights, medians } = await readHistory(db, asOf, settings.quality.history);
  const skipped = restart
    ? 'skipped: the history begins anew with this night'
    : nights < minimumRuns
      ? `skipped (${nights} of ${minimumRuns}): too few good nights of an earlier as-of to compare with`
      : undefined;
  if (skipped !== undefined) {
    const nothing = { observed: null, skipped };
    return { volume_change: nothing, mean_rating_drift: nothing, rating_share_drift: nothing };
  }
  const before = `of the last ${nights} good nights (median)`;
  const change = statistics.ratings / medians.ratings - 1;
  const drift = statistics.mean_rating - medians.mean_rating;
  const shares = RATING_VALUES.map((rating) => ({
    rating,
    share: statistics[shareOf(rating)],
    before: medians[shareOf(rating)],
  })).sort((a, b) => Math.abs(b.share - b.before) - Math.abs(a.share - a.before));
  const [most] = shares;
  const index = stabilityIndex(shares);
  return {
    volume_change: {
      observed: Math.abs(change),
      finding: `${whole(statistics.ratings)}, ${percent(Math.abs(change))} ${change < 0 ? 'below' : 'above'} the ${whole(medians.ratings)} ${before}`,
    },
    mean_rating_drift: {
      observed: Math.abs(drift),
      finding: `${statistics.mean_rating.toFixed(3)}, ${Math.abs(drift).toFixed(3)} ${drift < 0 ? 'below' : 'above'} the ${medians.mean_rating.toFixed(3)} ${before}`,
    },
    rating_share_drift: {
      observed: index,
      finding: `${index.toFixed(3)}; ${most.rating} stars went to ${percent(most.share)} from the ${percent(most.before)} ${before}`,
      sample: shares.slice(0, SAMPLE_ROWS),
    },
  };
}

/** A value that nobody gives counts as one in ten thousand, which keeps the index finite. */
const LEAST_SHARE = 1e-4;

/**
 * Population stability index: the sum of (now - before) ln(now / before) over the values; 0 where nothing has changed.
 * Unlike a test of significance it does not call every difference one at ten million ratings.
 * Siddiqi, Credit Risk Scorecards (2006); Yurdakul, Statistical Properties of the PSI (2018).
 */
function stabilityIndex(shares: { share: number; before: number }[]): number {
  return shares.reduce((sum, { share, before }) => {
    const now = Math.max(share, LEAST_SHARE);
    const then = Math.max(before, LEAST_SHARE);
    return sum + (now - then) * Math.log(now / then);
  }, 0);
}

function whole(count: number): string {
  return Math.round(count).toLocaleString('en');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

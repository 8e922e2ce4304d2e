import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { imageOf } from '../../database/snapshots.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import { rowsOf } from '../../database/versions.ts';
import { countRead } from '../ingestion/count-read.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, SAMPLE_ROWS } from './check.ts';
import { countsOf, measureHistory, statisticsOf, sumOf } from './history.ts';
import { ofAll } from './measure-bronze.ts';

/**
 * Counts the tables themselves, not what was noted when they were written: one pass over each of bronze, silver, what was
 * rejected and what was superseded. Only how many ratings there are of each value is what silver has counted, or carried over from
 * the night before with what has changed since, and held against the number of rows: to group all of them takes three times as
 * long as to count them. History is read from the numbers of earlier nights alone.
 */
export async function measureSilver(db: Db, context: Run): Promise<Measurements> {
  const { run } = context;
  const bronze = await countRead(db, run);
  if (bronze === 0) return { checks: {} };
  const { silver, counts, known } = await countSnapshot(db, run);
  const reasons = await db
    .selectFrom('silver.rejected_ratings')
    .where('_batch_id', '=', sql.lit(run))
    .groupBy('reason')
    .select(({ fn }) => ['reason', fn.countAll<number>().as('rows')])
    .orderBy('rows', 'desc')
    .execute();
  const { superseded } = await db
    .selectFrom('silver.superseded_ratings')
    .where('_batch_id', '=', sql.lit(run))
    .select(({ fn }) => fn.countAll<number>().as('superseded'))
    .executeTakeFirstOrThrow();
  const [byUser, byMovie] = await Promise.all([
    sumTotals(db, 'gold.user_totals', run),
    sumTotals(db, 'gold.movie_totals', run),
  ]);
  const statistics = statisticsOf(counts);
  const byValue = sumOf(counts);
  const rejected = reasons.reduce((sum, { rows }) => sum + rows, 0);
  const refused = reasons.reduce((sum, { reason, rows }) => sum + (reason === 'after_as_of' ? 0 : rows), 0);
  return {
    checks: {
      snapshot_present: { observed: silver },
      row_accounting: {
        observed:
          Math.abs(bronze - silver - rejected - superseded) +
          Math.abs(silver - byUser) +
          Math.abs(silver - byMovie) +
          Math.abs(silver - byValue),
        finding: `${bronze} = ${silver} + ${rejected} + ${superseded}, ${byUser} by user, ${byMovie} by movie, ${byValue} by value`,
      },
      refused_share: {
        observed: refused / bronze,
        finding: ofAll(refused, bronze),
        sample: reasons.slice(0, SAMPLE_ROWS),
      },
      duplicates: { observed: superseded, sample: superseded === 0 ? [] : await sampleSuperseded(db, run) },
      ...(await measureHistory(db, statistics, context)),
    },
    statistics,
    ...(known ? {} : { ratingCounts: counts }),
  };
}

/** The rows of the snapshot, and its ratings by their value: as they are known, or counted here. */
async function countSnapshot(
  db: Db,
  run: number,
): Promise<{ silver: number; counts: RatingCounts; known: boolean }> {
  const image = rowsOf('silver.ratings', await imageOf(db, run)).as('image');
  const { rating_counts: known } = await db
    .selectFrom('silver.snapshots')
    .where('run', '=', run)
    .select('rating_counts')
    .executeTakeFirstOrThrow();
  if (known !== null) {
    const { silver } = await db
      .selectFrom(image)
      .select(({ fn }) => fn.countAll<number>().as('silver'))
      .executeTakeFirstOrThrow();
    return { silver, counts: known, known: true };
  }
  const rows = await db
    .selectFrom(image)
    .groupBy('rating')
    .select(({ fn }) => ['rating', fn.countAll<number>().as('ratings')])
    .execute();
  const counts = countsOf(rows);
  return { silver: sumOf(counts), counts, known: false };
}

/** Ratings in the totals, from which features and counts are made: the snapshot's, if they are right. */
async function sumTotals(
  db: Db,
  table: 'gold.user_totals' | 'gold.movie_totals',
  run: number,
): Promise<number> {
  const { ratings } = await db
    .selectFrom(table)
    .where('run', '=', sql.lit(run))
    .select(({ fn }) => fn.coalesce(fn.sum<number>('ratings'), sql<number>`0`).as('ratings'))
    .executeTakeFirstOrThrow();
  return ratings;
}

async function sampleSuperseded(db: Db, run: number): Promise<unknown[]> {
  return db
    .selectFrom('silver.superseded_ratings')
    .where('_batch_id', '=', sql.lit(run))
    .select(['user_id', 'movie_id', 'rating', 'rating_timestamp'])
    .limit(sql.lit(SAMPLE_ROWS))
    .execute();
}

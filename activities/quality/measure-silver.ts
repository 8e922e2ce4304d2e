import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { imageOf } from '../../database/snapshots.ts';
import { rowsOf } from '../../database/versions.ts';
import { countRead } from '../ingestion/count-read.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, SAMPLE_ROWS } from './check.ts';
import { measureHistory, statisticsOf } from './history.ts';
import { ofAll } from './measure-bronze.ts';

/**
 * Counts the tables themselves, not what was noted when they were written: one pass over each of bronze, silver, what was
 * rejected and what was superseded. History is read from the numbers of earlier nights alone.
 */
export async function measureSilver(db: Db, context: Run): Promise<Measurements> {
  const { run } = context;
  const bronze = await countRead(db, run);
  if (bronze === 0) return { checks: {} };
  const counts = await db
    .selectFrom(rowsOf('silver.ratings', await imageOf(db, run)).as('image'))
    .groupBy('rating')
    .select(({ fn }) => ['rating', fn.countAll<number>().as('ratings')])
    .execute();
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
  const silver = statistics?.ratings ?? 0;
  const rejected = reasons.reduce((sum, { rows }) => sum + rows, 0);
  const refused = reasons.reduce((sum, { reason, rows }) => sum + (reason === 'after_as_of' ? 0 : rows), 0);
  return {
    checks: {
      snapshot_present: { observed: silver },
      row_accounting: {
        observed:
          Math.abs(bronze - silver - rejected - superseded) +
          Math.abs(silver - byUser) +
          Math.abs(silver - byMovie),
        finding: `${bronze} = ${silver} + ${rejected} + ${superseded}, ${byUser} by user, ${byMovie} by movie`,
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
  };
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

import { sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { pairedBootstrap } from '../../recommender/index.ts';

/** Two twins on the same users and the same holdout, by RMSE. */
export interface PairedComparison {
  a: string;
  b: string;
  /** RMSE of A minus RMSE of B, in stars: positive where B is better. */
  difference: number;
  /** 95% bootstrap interval of the difference, users resampled. */
  low: number;
  high: number;
  users: number;
  resamples: number;
  seed: number;
  /** Whether the interval excludes zero. */
  decided: boolean;
  /** The better point estimate; A where they are equal. */
  winner: string;
}

/** Compares two evaluated configurations of a run from their stored per-user metrics. */
export async function comparePaired(
  db: Db,
  run: number,
  a: string,
  b: string,
  { resamples, seed }: Settings['selection'],
  signal: AbortSignal,
): Promise<PairedComparison> {
  const paired = await db
    .selectFrom('experiments.user_metrics as a')
    .innerJoin('experiments.user_metrics as b', (join) =>
      join.onRef('b.run', '=', 'a.run').onRef('b.user_id', '=', 'a.user_id').on('b.configuration', '=', b),
    )
    .where('a.run', '=', run)
    .where('a.configuration', '=', a)
    .where('a.scored', '>', 0)
    // One array a column, in one order: 200,000 users are a few values, not 200,000 objects.
    .select([
      sql<number[] | null>`array_agg(a.squared_error order by a.user_id)`.as('errorsOfA'),
      sql<number[] | null>`array_agg(b.squared_error order by a.user_id)`.as('errorsOfB'),
      sql<number[] | null>`array_agg(a.scored order by a.user_id)`.as('scored'),
    ])
    .executeTakeFirstOrThrow();
  if (paired.errorsOfA === null || paired.errorsOfB === null || paired.scored === null) {
    throw new Error(`run ${run}: no user was scored by both ${a} and ${b}; expected their evaluations first`);
  }
  const { difference, low, high } = await pairedBootstrap(
    {
      a: Float64Array.from(paired.errorsOfA),
      b: Float64Array.from(paired.errorsOfB),
      counts: Int32Array.from(paired.scored),
      statistic: 'rmse',
      resamples,
      seed,
    },
    signal,
  );
  return {
    a,
    b,
    difference,
    low,
    high,
    users: paired.scored.length,
    resamples,
    seed,
    decided: low > 0 || high < 0,
    winner: difference > 0 ? b : a,
  };
}

/** Keeps a comparison, from which a decision can be explained later. */
export async function insertComparison(db: Db, run: number, comparison: PairedComparison): Promise<void> {
  const { a, b, difference, low, high, users, resamples, seed, decided, winner } = comparison;
  await db
    .insertInto('experiments.comparisons')
    .values({
      run,
      metric: 'rmse',
      configuration_a: a,
      configuration_b: b,
      difference,
      interval_low: low,
      interval_high: high,
      users,
      resamples,
      seed,
      decided,
      winner,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

import { type RawBuilder, sql } from 'kysely';
import { type Metric, METRICS } from '../../config/metrics.ts';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { packed, unpackDoubles, unpackIntegers } from '../../database/packed.ts';
import { holm, pairedBootstrap } from '../../recommender/index.ts';
import type { ActivityDependencies } from '../support/run.ts';

/** Two twins on the same users and the same holdout, by one metric. */
export interface PairedComparison {
  metric: Metric;
  a: string;
  b: string;
  /** Metric of A minus metric of B. */
  difference: number;
  /** 95% bootstrap interval of the difference, users resampled. */
  low: number;
  high: number;
  /** Two-sided p-value, and corrected for the comparisons that were made together. */
  p: number;
  adjustedP: number;
  users: number;
  resamples: number;
  seed: number;
  /** Whether the interval excludes zero. */
  decided: boolean;
  /** The better point estimate; A where they are equal. */
  winner: string;
}

/** How much better B is than A, whichever way the metric points. */
export interface Gain {
  gain: number;
  low: number;
  high: number;
}

export function gainOfB({
  metric,
  difference,
  low,
  high,
}: Pick<PairedComparison, 'metric' | 'difference' | 'low' | 'high'>): Gain {
  // Adding zero: no minus zero is shown to anybody.
  return METRICS[metric].better === 'lower'
    ? { gain: difference, low, high }
    : { gain: 0 - difference, low: 0 - high, high: 0 - low };
}

/** How much better the winner is than the other one. */
export function gainOfWinner(comparison: PairedComparison): Gain {
  return gainOfB(comparison.winner === comparison.b ? comparison : mirrored(comparison));
}

/** A user's part of each metric: what is summed, and over how many values. */
export const PARTS: Record<Metric, { column: string; statistic: 'rmse' | 'mean'; counts: 'scored' | 'one' }> =
  {
    rmse: { column: 'squared_error', statistic: 'rmse', counts: 'scored' },
    mae: { column: 'absolute_error', statistic: 'mean', counts: 'scored' },
    'precision@10': { column: 'precision_at_10', statistic: 'mean', counts: 'one' },
    'recall@10': { column: 'recall_at_10', statistic: 'mean', counts: 'one' },
    'ndcg@10': { column: 'ndcg_at_10', statistic: 'mean', counts: 'one' },
    'map@10': { column: 'average_precision_at_10', statistic: 'mean', counts: 'one' },
  };

type Bootstrap = Pick<Settings['selection'], 'resamples' | 'seed'> & Pick<ActivityDependencies, 'threads'>;

/**
 * Compares one evaluated configuration of a run with each of `others` from their stored per-user metrics. What the run's A/B
 * test has compared already is not compared again, whichever of the two came first in it.
 */
export async function comparePaired(
  db: Db,
  run: number,
  metric: Metric,
  a: string,
  others: string[],
  options: Bootstrap,
  signal: AbortSignal,
): Promise<PairedComparison[]> {
  const found: PairedComparison[] = [];
  for (const b of others) found.push(await compareTwo(db, run, metric, a, b, options, signal));
  const adjusted = holm(found.map(({ p }) => p));
  return found.map((comparison, at) => ({ ...comparison, adjustedP: adjusted[at] }));
}

async function compareTwo(
  db: Db,
  run: number,
  metric: Metric,
  a: string,
  b: string,
  { resamples, seed, threads }: Bootstrap,
  signal: AbortSignal,
): Promise<PairedComparison> {
  const known = await keptComparison(db, run, metric, [a, b], { resamples, seed });
  if (known !== undefined) return known.a === a ? known : mirrored(known);
  const { statistic } = PARTS[metric];
  const pairs = await pairedValues(db, run, metric, a, b);
  const { difference, low, high, p } = await pairedBootstrap(
    { ...pairs, statistic, resamples, seed },
    { threads, signal },
  );
  return concluded({
    metric,
    a,
    b,
    difference,
    low,
    high,
    p,
    adjustedP: p,
    users: pairs.counts.length,
    resamples,
    seed,
  });
}

/** With what follows from the numbers. */
function concluded(found: Omit<PairedComparison, 'decided' | 'winner'>): PairedComparison {
  const { a, b, low, high } = found;
  return { ...found, decided: low > 0 || high < 0, winner: gainOfB(found).gain > 0 ? b : a };
}

/** The same comparison seen from B: each resample's difference has the other sign. Adding zero: no minus zero is kept. */
function mirrored({ a, b, difference, low, high, ...rest }: PairedComparison): PairedComparison {
  return concluded({ ...rest, a: b, b: a, difference: 0 - difference, low: 0 - high, high: 0 - low });
}

/** A comparison of the two that the run has made by the same resamples; its p-value not corrected for others. */
async function keptComparison(
  db: Db,
  run: number,
  metric: Metric,
  pair: [string, string],
  { resamples, seed }: Pick<Bootstrap, 'resamples' | 'seed'>,
): Promise<PairedComparison | undefined> {
  const row = await db
    .selectFrom('experiments.comparisons')
    .selectAll()
    .where('run', '=', run)
    .where('metric', '=', metric)
    .where('configuration_a', 'in', pair)
    .where('configuration_b', 'in', pair)
    .where('resamples', '=', resamples)
    .where('seed', '=', seed)
    .executeTakeFirst();
  // Of an earlier release where it has no p-value.
  if (row === undefined || row.p_value === null) return undefined;
  const { configuration_a: a, configuration_b: b, difference, users, p_value: p } = row;
  const [low, high] = [row.interval_low, row.interval_high];
  return concluded({ metric, a, b, difference, low, high, p, adjustedP: p, users, resamples, seed });
}

/** Of every user whom both have a value of, in one order. */
async function pairedValues(db: Db, run: number, metric: Metric, a: string, b: string) {
  const { column, counts } = PARTS[metric];
  const inOrder = (value: RawBuilder<unknown>, type: 'integer' | 'double precision') =>
    packed(value, type, sql`a.user_id`);
  const row = await db
    .selectFrom('experiments.user_metrics as a')
    .innerJoin('experiments.user_metrics as b', (join) =>
      join.onRef('b.run', '=', 'a.run').onRef('b.user_id', '=', 'a.user_id').on('b.configuration', '=', b),
    )
    .where('a.run', '=', run)
    .where('a.configuration', '=', a)
    .where(counts === 'scored' ? sql<boolean>`a.scored > 0` : sql<boolean>`a.${sql.raw(column)} is not null`)
    .select([
      inOrder(sql`a.${sql.raw(column)}`, 'double precision').as('ofA'),
      inOrder(sql`b.${sql.raw(column)}`, 'double precision').as('ofB'),
      inOrder(counts === 'scored' ? sql`a.scored` : sql`1`, 'integer').as('counts'),
    ])
    .executeTakeFirstOrThrow();
  const pairs = {
    a: unpackDoubles(row.ofA),
    b: unpackDoubles(row.ofB),
    counts: unpackIntegers(row.counts),
  };
  const { length } = pairs.counts;
  if (length === 0 || pairs.a.length !== length || pairs.b.length !== length) {
    throw new Error(
      `run ${run}: ${metric} of ${a} and of ${b} is not there of the same users; expected their evaluations first`,
    );
  }
  return pairs;
}

/** Keeps comparisons, from which a decision can be explained later. */
export async function insertComparisons(
  db: Db,
  run: number,
  comparisons: readonly PairedComparison[],
): Promise<void> {
  for (const { a, b, low, high, p, adjustedP, ...rest } of comparisons) {
    await db
      .insertInto('experiments.comparisons')
      .values({
        run,
        configuration_a: a,
        configuration_b: b,
        interval_low: low,
        interval_high: high,
        p_value: p,
        p_adjusted: adjustedP,
        ...rest,
      })
      // The A/B test may have made the same one alone: what is corrected for more of them is what counts.
      .onConflict((conflict) =>
        conflict
          .columns(['run', 'metric', 'configuration_a', 'configuration_b'])
          .doUpdateSet({ p_adjusted: adjustedP }),
      )
      .execute();
  }
}

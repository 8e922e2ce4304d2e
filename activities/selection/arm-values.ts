import { sql } from 'kysely';
import type { Metric } from '../../config/metrics.ts';
import type { Db } from '../../database/connect.ts';
import { packed, unpackDoubles, unpackIntegers } from '../../database/packed.ts';
import { terminalFailure } from '../support/failures.ts';
import { PARTS } from './paired-comparison.ts';

/** An arm's users in ascending order, with their sums of a metric averaged over the arm's twins. */
export interface ArmValues {
  users: Int32Array;
  values: Float64Array;
  counts: Int32Array;
}

/** Reads an arm's values from the stored per-user metrics of its twins; empty where there are none. */
export async function armValues(
  db: Db,
  run: number,
  metric: Metric,
  configurations: string[],
): Promise<ArmValues> {
  const { column, counts } = PARTS[metric];
  const inOrder = (value: string, type: 'integer' | 'double precision') =>
    packed(sql.ref(value), type, sql`user_id`);
  const row = await db
    .selectFrom(
      db
        .selectFrom('experiments.user_metrics')
        .where('run', '=', run)
        .where('configuration', 'in', configurations)
        .where(counts === 'scored' ? sql<boolean>`scored > 0` : sql<boolean>`${sql.ref(column)} is not null`)
        .groupBy('user_id')
        .having((e) => e.fn.countAll<number>(), '=', configurations.length)
        .select([
          'user_id',
          // In one order: the last bits of a sum depend on it.
          sql<number>`avg(${sql.ref(column)} order by configuration)`.as('value'),
          (counts === 'scored' ? sql<number>`max(scored)` : sql<number>`1`).as('count'),
        ])
        .as('u'),
    )
    .select([
      inOrder('user_id', 'integer').as('users'),
      inOrder('value', 'double precision').as('values'),
      inOrder('count', 'integer').as('counts'),
    ])
    .executeTakeFirstOrThrow();
  return {
    users: unpackIntegers(row.users),
    values: unpackDoubles(row.values),
    counts: unpackIntegers(row.counts),
  };
}

/** The metric of an arm on the whole holdout. */
export function armMetric(metric: Metric, { values, counts }: ArmValues): number {
  const sum = (all: Float64Array | Int32Array): number => {
    let total = 0;
    for (const one of all) total += one;
    return total;
  };
  const mean = sum(values) / sum(counts);
  return PARTS[metric].statistic === 'rmse' ? Math.sqrt(mean) : mean;
}

/**
 * Arms are paired by user only where they were measured on the same ratings. A later night takes out of a snapshot
 * whoever was deleted in the source, so that a twin from before it and one from after it are no pair.
 */
export function assertPaired(test: string, run: number, arms: ArmValues[]): void {
  const [first, ...others] = arms;
  const same = others.every(
    ({ users, counts }) =>
      users.length === first.users.length &&
      users.every((user, at) => user === first.users[at] && counts[at] === first.counts[at]),
  );
  if (same && first.users.length > 0) return;
  throw terminalFailure(
    'SnapshotGone',
    `A/B test ${test}: the arms were not measured on the same ratings of run ${run}, because a later night took some out or dropped them; test on a newer run`,
  );
}

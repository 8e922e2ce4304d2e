import { sql } from 'kysely';
import { trainings } from '../../config/ab-test.ts';
import { METRICS, type Metric, isBetter } from '../../config/metrics.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { abTestArms } from '../../database/experiments.ts';
import { transaction } from '../../database/session.ts';
import type { AbGroup } from '../../database/types/index.ts';
import { configurationKey, holm, pairedBootstrap, userGroup } from '../../recommender/index.ts';
import { terminalFailure } from '../support/failures.ts';
import type { ActivityDependencies } from '../support/run.ts';
import type { StageResult } from '../support/stage.ts';
import { enteredTest } from '../training/ab-test.ts';
import { type ArmValues, armMetric, armValues, assertPaired } from './arm-values.ts';
import { PARTS } from './paired-comparison.ts';
import { BROKEN_SAMPLE_RATIO, groupsRatioPValue } from './sample-ratio.ts';

export interface FinishAbTestInput {
  test: string;
}

/** What an ad-hoc A/B test came to; its figures stand in `experiments.ab_test_arms` and `ab_test_comparisons`. */
export interface AbTestOutcome extends StageResult {
  test: string;
  run: number;
  metric: Metric;
  /** The arm with the best value, and whether chance is excluded. */
  winner: string;
  decided: boolean;
  sampleRatioP: number;
  /** The decision in words. */
  note: string;
}

const GROUPS = ['A', 'B', 'C', 'D'] as const satisfies readonly AbGroup[];
/** Beside the interval, which is not corrected for the number of arms. */
const SIGNIFICANT = 0.05;

/**
 * Compares the arms of an ad-hoc A/B test, whose twins have all been measured: the first with each other, paired by
 * user on the whole holdout, each arm's values averaged over its seeds. Once: what was compared is read again.
 */
export async function finishAbTest(
  { connection, threads }: Pick<ActivityDependencies, 'connection' | 'threads'>,
  { test }: FinishAbTestInput,
  signal: AbortSignal,
): Promise<AbTestOutcome> {
  const entered = await enteredTest(connection.db, test);
  if (entered.finished_at === null) await compare(connection, entered, { threads, signal });
  const found = await enteredTest(connection.db, test);
  if (found.winner === null || found.decided === null || found.sample_ratio_p === null)
    throw new Error(`A/B test ${test}: its comparison was not kept`);
  return {
    rows: found.arms.length,
    test,
    run: found.run,
    metric: found.metric,
    winner: found.winner,
    decided: found.decided,
    sampleRatioP: found.sample_ratio_p,
    note: found.decision ?? '',
  };
}

type Entered = Awaited<ReturnType<typeof enteredTest>>;

interface MeasuredArm {
  arm: number;
  ab_group: AbGroup;
  name: string;
  rank: number;
  configurations: string[];
  /** The metric of each twin. */
  bySeed: number[];
  values: ArmValues;
  value: number;
}

async function compare(
  connection: Connection,
  entered: Entered,
  options: { threads: number; signal: AbortSignal },
): Promise<void> {
  const { test_id: test, run, metric } = entered;
  const arms = await measuredArms(connection.db, entered);
  assertPaired(
    test,
    run,
    arms.map(({ values }) => values),
  );
  const comparisons = await compareWithFirst(entered, arms, options);
  const best = arms.reduce((one, other) => (isBetter(metric, other.value, one.value) ? other : one));
  const against = comparisons.filter(({ arm }) => best.arm === 1 || arm === best.arm);
  const decided = against.every((one) => one.decided);

  await transaction(
    connection,
    async ({ db }) => {
      const { numUpdatedRows } = await db
        .updateTable('experiments.ab_tests')
        .set({ finished_at: sql`clock_timestamp()`, winner: best.name, decided })
        .where('test_id', '=', test)
        .where('finished_at', 'is', null)
        .executeTakeFirst();
      // Another attempt has compared the same, and its rows are the same.
      if (numUpdatedRows === 0n) return;
      await insertGroups(db, entered, arms[0]);
      const groups: Awaited<ReturnType<typeof groupMetrics>>[] = [];
      for (const arm of arms) groups.push(await groupMetrics(db, entered, arm));
      const sampleRatioP = groupsRatioPValue(groups.map(({ users }) => users));
      await insertArms(db, entered, arms, groups, { winner: best.name, decided, sampleRatioP });
      await db.insertInto('experiments.ab_test_comparisons').values(comparisons).execute();
      await db
        .updateTable('experiments.ab_tests')
        .set({
          sample_ratio_p: sampleRatioP,
          decision: inWords(metric, await abTestArms(db, test), decided, sampleRatioP),
        })
        .where('test_id', '=', test)
        .execute();
    },
    { signal: options.signal },
  );
}

/** Each arm's row among the results of all tests, and what is kept of ad-hoc ones besides. */
async function insertArms(
  db: Db,
  { test_id, run, created_at }: Entered,
  arms: MeasuredArm[],
  groups: Awaited<ReturnType<typeof groupMetrics>>[],
  { winner, decided, sampleRatioP }: { winner: string; decided: boolean; sampleRatioP: number },
): Promise<void> {
  await db
    .insertInto('experiments.ab_test_results')
    .values(
      arms.map(({ ab_group, name, rank }, at) => {
        const { rmse, mae, precision_at_10, users, predictions } = groups[at];
        return {
          test_id,
          run,
          ab_group,
          model_name: name,
          rank,
          rmse,
          mae,
          precision_at_10,
          users,
          predictions,
          is_winner: name === winner,
          decided,
          sample_ratio_p: sampleRatioP,
          test_date: created_at,
        };
      }),
    )
    .execute();
  await db
    .insertInto('experiments.ab_test_arms')
    .values(
      arms.map(({ arm, ab_group, name, configurations, value, bySeed }, at) => ({
        test_id,
        arm,
        ab_group,
        name,
        configurations,
        value,
        group_value: groups[at].value,
        seed_deviation: deviation(bySeed),
      })),
    )
    .execute();
}

async function measuredArms(db: Db, { test_id: test, run, metric, arms, seeds }: Entered) {
  const measured: MeasuredArm[] = [];
  for (const [at, arm] of arms.entries()) {
    const configurations = trainings(arm, seeds.length === 0 ? undefined : seeds).map(configurationKey);
    const twins = await db
      .selectFrom('experiments.evaluations')
      .selectAll()
      .where('run', '=', run)
      .where('configuration', 'in', configurations)
      .execute();
    const bySeed = configurations.map((key) => {
      const value = twins.find(({ configuration }) => configuration === key)?.[METRICS[metric].column];
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw terminalFailure(
        'ModelUnusable',
        `A/B test ${test}: ${key} has no finite holdout ${metric}, expected one of every arm`,
      );
    });
    const values = await armValues(db, run, metric, configurations);
    measured.push({
      arm: at + 1,
      ab_group: GROUPS[at],
      // With several seeds, none of them is the arm's.
      name: seeds.length === 0 ? configurationKey(arm) : configurationKey(arm).replace(/ seed=\d+/, ''),
      rank: arm.family === 'popular' ? 1 : arm.rank,
      configurations,
      bySeed,
      values,
      value: armMetric(metric, values),
    });
  }
  return measured;
}

async function compareWithFirst(
  { test_id, metric, resamples, bootstrap_seed: seed }: Entered,
  [first, ...others]: MeasuredArm[],
  options: { threads: number; signal: AbortSignal },
) {
  const found = [];
  for (const other of others) {
    const task = {
      a: first.values.values,
      b: other.values.values,
      counts: first.values.counts,
      statistic: PARTS[metric].statistic,
      resamples,
      seed,
    };
    found.push({ other, ...(await pairedBootstrap(task, options)) });
  }
  const adjusted = holm(found.map(({ p }) => p));
  return found.map(({ other, difference, low, high, p }, at) => ({
    test_id,
    arm: other.arm,
    difference,
    interval_low: low,
    interval_high: high,
    p_value: p,
    p_adjusted: adjusted[at],
    users: first.values.users.length,
    decided: (low > 0 || high < 0) && adjusted[at] < SIGNIFICANT,
    seed_deviation: deviation(differencesBySeed(first.bySeed, other.bySeed)),
  }));
}

/** Seed against the same seed; the baseline, which has none, against each. */
function differencesBySeed(first: number[], other: number[]): number[] {
  const of = (values: number[], at: number): number => values[values.length === 1 ? 0 : at];
  return Array.from(
    { length: Math.max(first.length, other.length) },
    (_, at) => of(first, at) - of(other, at),
  );
}

/** Standard deviation of a sample; null of fewer than two. */
function deviation(values: number[]): number | null {
  if (values.length < 2) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** Everybody who was measured, by the salted hash; PostgreSQL before 18 has no CRC-32 to recompute it. */
async function insertGroups(
  db: Db,
  { test_id, run, salt, arms }: Entered,
  first: MeasuredArm,
): Promise<void> {
  const rows = await db
    .selectFrom('experiments.user_metrics')
    .select('user_id')
    .where('run', '=', run)
    .where('configuration', '=', first.configurations[0])
    .execute();
  const users = rows.map(({ user_id }) => user_id);
  const groups = users.map((user) => userGroup(user, arms.length, salt ?? undefined));
  await sql`
    insert into experiments.ab_test_users (test_id, user_id, ab_group)
    select ${test_id}, user_id, chr(65 + number)
    from unnest(${users}::integer[], ${groups}::integer[]) as grouped (user_id, number)`.execute(db);
}

/** An arm's metrics in its own group of users, over all its twins. */
function groupMetrics(db: Db, { test_id, run, metric }: Entered, { ab_group, configurations }: MeasuredArm) {
  const { column, statistic, counts } = PARTS[metric];
  const sum = sql`sum(${sql.ref(`m.${column}`)})`;
  const over = counts === 'scored' ? sql`sum(scored)` : sql`count(${sql.ref(`m.${column}`)})`;
  const mean = sql<number | null>`(${sum} / nullif(${over}, 0))`;
  return db
    .selectFrom('experiments.ab_test_users as g')
    .innerJoin('experiments.user_metrics as m', 'm.user_id', 'g.user_id')
    .where('g.test_id', '=', test_id)
    .where('g.ab_group', '=', ab_group)
    .where('m.run', '=', run)
    .where('m.configuration', 'in', configurations)
    .select(({ fn }) => [
      sql<number | null>`sqrt(sum(squared_error) / nullif(sum(scored), 0))`.as('rmse'),
      sql<number | null>`sum(absolute_error) / nullif(sum(scored), 0)`.as('mae'),
      fn.avg<number | null>('precision_at_10').as('precision_at_10'),
      (statistic === 'rmse' ? sql<number | null>`sqrt(${mean})` : mean).as('value'),
      sql<number>`count(distinct g.user_id)`.as('users'),
      sql<number>`coalesce(sum(scored), 0) / ${sql.lit(configurations.length)}`.as('predictions'),
    ])
    .executeTakeFirstOrThrow();
}

type StoredArm = Awaited<ReturnType<typeof abTestArms>>[number];

/** The decision in words. */
function inWords(metric: Metric, arms: StoredArm[], decided: boolean, sampleRatioP: number): string {
  const [first, ...others] = arms;
  const best = arms.find(({ is_winner }) => is_winner) ?? first;
  // Where the first is the best, what comes nearest to it.
  const [nearest] = others.toSorted((a, b) => Math.abs(a.difference ?? 0) - Math.abs(b.difference ?? 0));
  const other = best.arm === 1 ? nearest : best;
  const loser = best.arm === 1 ? nearest : first;
  const p = `p ${(other.p_adjusted ?? 1).toPrecision(2)}${others.length > 1 ? ' (Holm)' : ''}`;
  const numbers = `by ${fixed(Math.abs(other.difference ?? 0))} ${metric} [${fixed(other.interval_low)}, ${fixed(other.interval_high)}], ${p}`;
  const noise = other.difference_seed_deviation;
  return [
    decided
      ? `${best.name} is better than ${loser.name} ${numbers}`
      : `undecided: ${best.name} is ahead of ${loser.name} ${numbers}, and chance is not excluded`,
    ...(noise === null ? [] : [`seeds alone move the difference by ${fixed(noise)} (standard deviation)`]),
    ...(sampleRatioP < BROKEN_SAMPLE_RATIO
      ? [
          `the groups are not of equal size, p ${sampleRatioP.toPrecision(2)}: do not trust what they say apart`,
        ]
      : []),
  ].join('; ');
}

const fixed = (value: number | null): string => (value ?? 0).toFixed(4);

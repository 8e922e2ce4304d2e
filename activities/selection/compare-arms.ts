import { sql } from 'kysely';
import type { ModelConfiguration } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { configurationKey } from '../../recommender/index.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import {
  type PairedComparison,
  comparePaired,
  gainOfWinner,
  insertComparisons,
} from './paired-comparison.ts';
import { BROKEN_SAMPLE_RATIO, sampleRatioPValue } from './sample-ratio.ts';

export interface CompareArmsInput extends RunReference {
  /** The first two are A and B. */
  arms: ModelConfiguration[];
}

export interface ArmsResult extends StageResult {
  winner: string;
  decided: boolean;
  /** Metric of A minus metric of B, on the whole holdout, paired by user. */
  difference: number;
  interval: [number, number];
  /** Below `BROKEN_SAMPLE_RATIO` the note says so. */
  sampleRatioP: number;
  note: string;
}

/**
 * The A/B test of a night: each arm's metrics in its own group of users, and the comparison that decides,
 * paired by user on the whole holdout. (Unpaired groups differ by more than the effect that is looked for.)
 */
export function compareArms(
  { connection, threads }: Pick<ActivityDependencies, 'connection' | 'threads'>,
  { run, arms }: CompareArmsInput,
  signal: AbortSignal,
): Promise<ArmsResult> {
  return runStage(connection, { run, stage: 'compare-arms', signal }, async (attempt) => {
    const { settings, asOf } = await loadRun(connection.db, run);
    const [a, b] = arms.map(configurationKey);
    const { metric } = settings.selection;
    const options = { ...settings.selection, threads };
    const [comparison] = await comparePaired(connection.db, run, metric, a, [b], options, signal);
    return attempt.finish(async ({ db }) => {
      const groups = [await groupMetrics(db, run, a, 'A'), await groupMetrics(db, run, b, 'B')];
      const sampleRatioP = sampleRatioPValue(groups[0].users, groups[1].users);
      await insertComparisons(db, run, [comparison]);
      await db
        .insertInto('experiments.ab_test_results')
        .values(
          groups.map((group, arm) => ({
            test_id: `run-${run}`,
            run,
            ...group,
            model_name: [a, b][arm],
            rank: arms[arm].rank,
            is_winner: comparison.winner === [a, b][arm],
            decided: comparison.decided,
            sample_ratio_p: sampleRatioP,
            test_date: asOf,
          })),
        )
        .execute();
      return {
        rows: groups.length,
        winner: comparison.winner,
        decided: comparison.decided,
        difference: comparison.difference,
        interval: [comparison.low, comparison.high] as [number, number],
        sampleRatioP,
        note: describe(comparison, sampleRatioP),
      };
    });
  });
}

function describe(comparison: PairedComparison, sampleRatioP: number): string {
  const { winner, metric, decided } = comparison;
  const { gain, low, high } = gainOfWinner(comparison);
  const interval = `[${low.toFixed(4)}, ${high.toFixed(4)}]`;
  return `${winner} by ${gain.toFixed(4)} ${metric.toUpperCase()} ${interval}${decided ? '' : ', undecided'}${
    sampleRatioP < BROKEN_SAMPLE_RATIO ? `; groups are no halves, p ${sampleRatioP.toPrecision(2)}` : ''
  }`;
}

async function groupMetrics(db: Db, run: number, configuration: string, group: 'A' | 'B') {
  const metrics = await db
    .selectFrom('experiments.user_metrics')
    .where('run', '=', run)
    .where('configuration', '=', configuration)
    .where('ab_group', '=', group)
    .select(({ fn }) => [
      sql<number | null>`sqrt(sum(squared_error) / nullif(sum(scored), 0))`.as('rmse'),
      sql<number | null>`sum(absolute_error) / nullif(sum(scored), 0)`.as('mae'),
      fn.avg<number | null>('precision_at_10').as('precision_at_10'),
      fn.countAll<number>().as('users'),
      fn.coalesce(fn.sum<number>('scored'), sql<number>`0`).as('predictions'),
    ])
    .executeTakeFirstOrThrow();
  return { ab_group: group, ...metrics };
}

import type { Settings } from '../../config/settings.ts';
import type { Promotions } from '../../database/types/index.ts';
import type { PairedComparison } from './paired-comparison.ts';

/** What a decision is made from: measured on one holdout, in one run. */
export interface Evidence {
  /** The challenger with the best RMSE. */
  challenger: { configuration: string; rmse: number };
  /** The serving configuration, evaluated tonight; null on the first night. */
  champion: { configuration: string; rmse: number } | null;
  /** Champion against challenger, paired; null where they are one configuration or there is no champion. */
  comparison: PairedComparison | null;
  mayPublish: boolean;
}

export interface Decision {
  decision: Promotions['decision'];
  /** The configuration decided for. */
  configuration: string;
  reason: string;
  /** Whether the winner's RMSE is over the threshold, whatever the policy makes of it. */
  alarm: string | null;
}

/**
 * The champion stays unless a challenger is better by the least improvement and its interval excludes zero;
 * undecided keeps. Over the threshold the policy decides; an older as-of is never published.
 */
export function decide(evidence: Evidence, { selection, alarm }: Settings): Decision {
  const chosen = choose(evidence, selection.minimumImprovement);
  const rmse =
    chosen.configuration === evidence.champion?.configuration
      ? evidence.champion.rmse
      : evidence.challenger.rmse;
  const over =
    rmse > alarm.rmseThreshold
      ? `${chosen.configuration} has a holdout RMSE of ${rmse.toFixed(4)}, over the threshold of ${alarm.rmseThreshold}`
      : null;
  if (!evidence.mayPublish) {
    return {
      ...chosen,
      decision: 'not_published',
      reason: `not published, because a newer as-of is; ${chosen.reason}`,
      alarm: over,
    };
  }
  if (over !== null && alarm.policy === 'block') {
    return { ...chosen, decision: 'blocked', reason: `${over}: champion and tables stay`, alarm: over };
  }
  return { ...chosen, alarm: over };
}

function choose(
  { challenger, champion, comparison }: Evidence,
  minimumImprovement: number,
): Omit<Decision, 'alarm'> {
  if (champion === null) {
    return {
      decision: 'first',
      configuration: challenger.configuration,
      reason: `first champion: ${challenger.configuration} has the best holdout RMSE of the challengers, ${challenger.rmse.toFixed(4)}`,
    };
  }
  if (comparison === null) {
    return {
      decision: 'refresh',
      configuration: champion.configuration,
      reason: `${champion.configuration} stays: no challenger has a better holdout RMSE than its ${champion.rmse.toFixed(4)}`,
    };
  }
  const gain = comparison.difference;
  const found = `${challenger.configuration} ${gain >= 0 ? 'gains' : 'loses'} ${Math.abs(gain).toFixed(4)} RMSE against ${champion.configuration}, interval ${comparison.low.toFixed(4)} to ${comparison.high.toFixed(4)}`;
  if (gain >= minimumImprovement && comparison.low > 0) {
    return {
      decision: 'promotion',
      configuration: challenger.configuration,
      reason: `${found}: at least the ${minimumImprovement} asked for, and the interval excludes zero`,
    };
  }
  const why =
    comparison.low > 0
      ? `less than the ${minimumImprovement} asked for`
      : 'the interval does not exclude zero';
  return {
    decision: 'refresh',
    configuration: champion.configuration,
    reason: `${champion.configuration} stays: ${found}, ${why}`,
  };
}

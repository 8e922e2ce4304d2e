import { type Metric, METRICS, isErrorMetric } from '../../config/metrics.ts';
import type { Settings } from '../../config/settings.ts';
import type { Promotions } from '../../database/types/index.ts';
import type { Churn } from './churn.ts';
import { type PairedComparison, gainOfB } from './paired-comparison.ts';

/** A configuration's twin as it was measured tonight. */
export interface Measured {
  configuration: string;
  /** By the metric that decides. */
  value: number;
  /** Null where the family predicts no ratings. */
  rmse: number | null;
  coverage: number;
}

/** What a decision is made from: measured on one holdout, in one run. */
export interface Evidence {
  /** The best challenger by the metric that decides. */
  challenger: Measured;
  /** The serving configuration, evaluated tonight; null on the first night. */
  champion: Measured | null;
  /** Champion against challenger, paired; null where they are one configuration or there is no champion. */
  comparison: PairedComparison | null;
  /** Most-popular against challenger, paired, where the metric is about lists. */
  baseline: PairedComparison | null;
  /** Of the challenger's lists against the champion's, twin against twin; null where it was not measured. */
  churn: Churn | null;
  mayPublish: boolean;
}

export interface Decision {
  decision: Promotions['decision'];
  /** The configuration decided for. */
  configuration: string;
  reason: string;
  /** Whether the winner's RMSE is over the threshold, whatever the policy makes of it. */
  alarm: string | null;
  /** Where an operator is asked: how long, and what is decided if they approve. */
  ask?: { hours: number; decision: Promotions['decision']; reason: string };
}

/** Largest corrected p-value of a challenger that is better for sure. */
const SIGNIFICANCE = 0.05;

/**
 * The champion stays unless a challenger is better by the least improvement, its interval excludes zero, and no
 * guardrail stands against it; undecided keeps. Over the threshold the policy decides; an older as-of is never
 * published.
 */
export function decide(evidence: Evidence, settings: Settings): Decision {
  const { alarm } = settings;
  const chosen = choose(evidence, settings);
  const winner =
    chosen.configuration === evidence.champion?.configuration ? evidence.champion : evidence.challenger;
  const over =
    winner.rmse !== null && winner.rmse > alarm.rmseThreshold
      ? `${chosen.configuration} has a holdout RMSE of ${winner.rmse.toFixed(4)}, over the threshold of ${alarm.rmseThreshold}`
      : null;
  if (!evidence.mayPublish) {
    return {
      ...chosen,
      decision: 'not_published',
      reason: `not published, because a newer as-of is; ${chosen.reason}`,
      alarm: over,
    };
  }
  if (over !== null && alarm.policy !== 'publish') {
    const { decision, reason } = chosen;
    return {
      ...chosen,
      decision: 'blocked',
      reason: `${over}: champion and tables stay`,
      alarm: over,
      ...(alarm.policy === 'ask' && decision !== 'blocked'
        ? { ask: { hours: alarm.askHours, decision, reason } }
        : {}),
    };
  }
  return { ...chosen, alarm: over };
}

function choose(evidence: Evidence, settings: Settings): Omit<Decision, 'alarm'> {
  const { challenger, champion, comparison } = evidence;
  const { metric, minimumImprovement } = settings.selection;
  if (champion === null) {
    const against = guardrail(evidence, settings);
    const best = `${challenger.configuration} has the best ${nameOf(metric)} of the challengers, ${challenger.value.toFixed(4)}`;
    return against === null
      ? {
          decision: 'first',
          configuration: challenger.configuration,
          reason: `first champion: ${best}`,
        }
      : {
          decision: 'blocked',
          configuration: challenger.configuration,
          reason: `no champion yet: ${best}, but ${against}`,
        };
  }
  const keep = (why: string): Omit<Decision, 'alarm'> => ({
    decision: 'refresh',
    configuration: champion.configuration,
    reason: `${champion.configuration} stays: ${why}`,
  });
  if (comparison === null) {
    return keep(`no challenger has a better ${nameOf(metric)} than its ${champion.value.toFixed(4)}`);
  }
  const { gain, low, high } = gainOfB(comparison);
  const found = `${challenger.configuration} ${gain >= 0 ? 'gains' : 'loses'} ${Math.abs(gain).toFixed(4)} ${metric.toUpperCase()} against ${champion.configuration}, interval ${low.toFixed(4)} to ${high.toFixed(4)}`;
  if (high < 0) return keep(`${found}, which leaves no gain`);
  if (!(low > 0)) return keep(`${found}, the interval does not exclude zero`);
  if (!(gain >= minimumImprovement)) return keep(`${found}, less than the ${minimumImprovement} asked for`);
  if (comparison.adjustedP >= SIGNIFICANCE) {
    return keep(
      `${found}, p ${comparison.adjustedP.toPrecision(2)} after Holm's correction for the number of challengers`,
    );
  }
  const against = guardrail(evidence, settings);
  if (against !== null) return keep(`${found}, but ${against}`);
  return {
    decision: 'promotion',
    configuration: challenger.configuration,
    reason: `${found}: at least the ${minimumImprovement} asked for, and the interval excludes zero; ${churnOf(evidence)}`,
  };
}

/** What stands against promoting the challenger, however good it is by the metric; null where nothing does. */
function guardrail(
  evidence: Evidence,
  { selection: { metric, minimumCoverage, maximumChurn } }: Settings,
): string | null {
  const { challenger, champion, baseline, churn } = evidence;
  if (challenger.coverage < minimumCoverage) {
    return `its lists reach ${challenger.coverage.toFixed(4)} of the catalogue, less than the ${minimumCoverage} asked for`;
  }
  if (champion !== null && maximumChurn < 1) {
    if (churn === null) return 'the churn of its lists was not measured';
    if (!(churn.churn <= maximumChurn)) return `${churnOf(evidence)}, more than the ${maximumChurn} allowed`;
  }
  if (isErrorMetric(metric)) return null;
  if (baseline === null) return 'most-popular was not measured beside it';
  const { gain, low } = gainOfB(baseline);
  return low > 0
    ? null
    : `it does not beat most-popular for sure: ${gain.toFixed(4)} ${metric.toUpperCase()}, interval from ${low.toFixed(4)}`;
}

function churnOf({ churn }: Evidence): string {
  return churn === null
    ? 'the churn of its lists was not measured'
    : `the churn of its lists is ${churn.churn.toFixed(3)} over ${churn.users} users`;
}

function nameOf(metric: Metric): string {
  return METRICS[metric].better === 'lower' ? `holdout ${metric.toUpperCase()}` : metric.toUpperCase();
}

import type { Selectable } from 'kysely';
import type { Threshold } from '../../config/checks.ts';
import type { Settings } from '../../config/settings.ts';
import type { CheckResults, CheckStatus } from '../../database/types/index.ts';
import type { Check, Observation } from './check.ts';

/** What a check has to say of a run, as its row in `quality.check_results`. */
export type Judgement = Omit<Selectable<CheckResults>, 'run' | 'checked_at'>;

/** Holds what was measured against the thresholds: that of `error` first, then that of `warn`. */
export function judge(check: Check, observation: Observation, settings: Settings): Judgement {
  const threshold = settings.quality.thresholds[check.name];
  const { observed, finding, sample = [] } = observation;
  const status = verdict(check, observation, threshold);
  const crossed =
    status === 'failed' ? (threshold.error ?? threshold.warn) : (threshold.warn ?? threshold.error);
  const expected = crossed === null ? 'nothing: it is switched off' : check.expected(crossed, settings);
  const messages: Record<CheckStatus, string> = {
    passed: expected,
    skipped: observation.skipped ?? 'skipped: it has no threshold',
    warned: `expected ${expected}, found ${finding ?? format(observed)}: ${check.remedy}`,
    failed:
      observed === null
        ? // What could not be measured says itself what is wrong.
          `expected ${expected}, found ${finding ?? 'nothing'}`
        : `expected ${expected}, found ${finding ?? format(observed)}: ${check.remedy}`,
  };
  const sentence = messages[status];
  return {
    check_name: check.name,
    scope: check.scope,
    severity: threshold.error === null ? 'warn' : 'error',
    status,
    observed,
    expected,
    warn_threshold: threshold.warn,
    error_threshold: threshold.error,
    message: sentence.startsWith('expected') ? `${check.name} ${sentence}` : `${check.name}: ${sentence}`,
    sample,
  };
}

function verdict(check: Check, { observed, skipped }: Observation, { warn, error }: Threshold): CheckStatus {
  if (skipped !== undefined || (warn === null && error === null)) return 'skipped';
  // What could not be measured has failed, though it could only warn: silence is no proof.
  if (observed === null) return 'failed';
  // Asked so that what is not a number passes nothing.
  const passes = (threshold: number): boolean =>
    check.limit === 'most' ? observed <= threshold : observed >= threshold;
  if (error !== null && !passes(error)) return 'failed';
  if (warn !== null && !passes(warn)) return 'warned';
  return 'passed';
}

function format(observed: number | null): string {
  return observed === null ? 'nothing' : Number(observed.toPrecision(6)).toLocaleString('en');
}

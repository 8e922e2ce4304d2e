import type { Settings } from '../../config/settings.ts';
import type { GateScope, Severity } from '../../database/types/index.ts';

/** What a scope's measurement says about one check. */
export interface Observation {
  /** The number that is held against the threshold; null where nothing could be measured. */
  observed: number | null;
  /** What was found where a number does not say it: replaces the sentence of the check. */
  finding?: string;
  /** At most `SAMPLE_ROWS` offending rows. */
  sample?: unknown[];
}

/** Enough to see what kind of dirt it is. */
export const SAMPLE_ROWS = 5;

/** A check, declared: its measurement is made with those of its whole scope, in as few passes as can be. */
export interface Check {
  name: string;
  scope: GateScope;
  severity: Severity | ((settings: Settings) => Severity);
  /** What must hold, in words with its threshold. */
  expected: (settings: Settings) => string;
  holds: (observed: number, settings: Settings) => boolean;
  /** What to do when it does not hold. */
  remedy: string;
}

/** Measures all checks of a scope: by the check's name. A check that is missing here has failed. */
export type Measurements = Record<string, Observation>;

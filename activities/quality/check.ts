import type { CheckName } from '../../config/checks.ts';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import type { GateScope, RatingCounts } from '../../database/types/index.ts';
import type { Statistics } from './history.ts';

/** What a scope's measurement says about one check. */
export interface Observation {
  /** The number that is held against the thresholds; null where nothing could be measured. */
  observed: number | null;
  /** What was found where a number does not say it. */
  finding?: string;
  /** Why nothing was asked of it, in words. */
  skipped?: string;
  /** At most `SAMPLE_ROWS` offending rows. */
  sample?: unknown[];
}

/** Enough to see what kind of dirt it is. */
export const SAMPLE_ROWS = 5;

/** A check, declared: its measurement is made with those of its whole scope, in as few passes as can be. */
export interface Check {
  name: CheckName;
  scope: GateScope;
  /** What its thresholds are: the most that passes, or the least. */
  limit: 'most' | 'least';
  /** What must hold, in words with its threshold. */
  expected: (threshold: number, settings: Settings) => string;
  /** What to do when it does not hold. */
  remedy: string;
}

export interface Measurements {
  /** By the check's name. A check of the scope that is missing here has failed. */
  checks: Partial<Record<CheckName, Observation>>;
  /** Of the snapshot, for the nights to come. */
  statistics?: Statistics;
  /** Of a snapshot of which nobody had counted them: its ratings by their value. */
  ratingCounts?: RatingCounts;
  /** Of a batch: whether silver takes every row of it; of a whole source, how many it has. */
  batch?: { all_accepted: boolean; ratings?: number };
}

/**
 * Asks what a measurement asks, of the same view of the database, by a connection of its own: one question keeps one processor
 * busy. To be called before what it is to run beside: it takes turns on the measurement's own connection for the view.
 */
export type Beside = <Result>(body: (db: Db) => Promise<Result>) => Promise<Result>;

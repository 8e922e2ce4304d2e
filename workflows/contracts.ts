/** What callers and workflows agree on: task queues, inputs, results, queries. */

import type { AbTestInput } from '../config/ab-test.ts';
import type { GridSearchInput } from '../config/grid-search.ts';
import type { SpeedRequest, WatchdogRequest } from '../config/schedules.ts';
import type { ModelConfiguration } from '../config/settings.ts';
import type { DeliveryOutcome, NightPlan } from '../activities/monitoring/index.ts';
import type { RunOutcome } from '../activities/monitoring/outcome.ts';
import type { RestoredVersion } from '../activities/publishing/index.ts';
import type { AbTestOutcome } from '../activities/selection/index.ts';
import type { GridSearchOutcome } from '../activities/training/index.ts';

/**
 * `nightjar` runs workflows and everything that waits for PostgreSQL; `nightjar-training` runs numeric work
 * with a slot count of its own, so that training scales by starting workers on other machines.
 */
export const TASK_QUEUES = { pipeline: 'nightjar', training: 'nightjar-training' } as const;

export interface NightlyRequest {
  /** ISO instant. Without it the schedule's nominal time, else the start time. */
  asOf?: string;
  /** Named set of defaults. */
  profile: string;
  /** `section.key=value` overrides of the profile. */
  overrides?: string[];
  /** Id of the database that the caller means; a worker of another one refuses. Any where it is left out. */
  database?: string;
}

/** The outcome that the run log keeps: what a night found, decided and published. */
export type NightlyResult = RunOutcome;

/** A run that ended without success is gone on with. */
export interface RerunRequest {
  run: number;
  /** The stage to go on from; see `config/stages.ts`. */
  from: string;
  /** Who asks: kept with the run. */
  actor: string;
  /** As in `NightlyRequest`. */
  database?: string;
}

/** What a night that started now would do. */
export type { NightPlan };

/** A child of the night works for a run that the parent has begun. */
export interface RunRequest {
  run: number;
}

/** The A/B test of a night, on its snapshot; the first two arms are A and B. */
export interface AbTestRequest extends RunRequest {
  arms: ModelConfiguration[];
}

/** An A/B test that an engineer starts: each arm is compared with the first. */
export interface AdHocAbTestRequest extends AbTestInput {
  adHoc: true;
  /** The run whose snapshot it is on; the newest that came to its end where it is left out. */
  run?: number;
  /** As in `NightlyRequest`. */
  database?: string;
}

/** The decision; its figures stand in `experiments.ab_test_arms` and `experiments.ab_test_comparisons`. */
export type AbTestResult = AbTestOutcome;

/** A grid search: `points` are tried on one snapshot, `metric` chooses the best of them. */
export interface GridSearchRequest extends GridSearchInput {
  /** The run whose snapshot it is; the newest that came to its end where it is left out. */
  run?: number;
  /** As in `NightlyRequest`. */
  database?: string;
}

/** The best point, and how many there were; every point stands in `experiments.grid_search_results`. */
export type GridSearchResult = GridSearchOutcome;

export interface TestAlertRequest {
  /** As in `NightlyRequest`. */
  database?: string;
}

/** Back to a kept version. */
export interface RollbackRequest {
  /** Its run or its name; the one that was served before where it is left out. */
  to?: string;
  /** The run whose version was served when it was asked for; by default when it is looked at. Refused where it changes. */
  from?: number;
  /** Why, and who says so: kept with the decision. */
  reason: string;
  actor: string;
  /** As in `NightlyRequest`. */
  database?: string;
}

/** What became of each alert on each channel; `pipeline.alert_deliveries` has it too. */
export interface DeliveryReport {
  deliveries: DeliveryOutcome[];
}

export type { SpeedRequest, WatchdogRequest };

/** What the watchdog found; each has raised an alert, but for the deliveries that it set going again. */
export interface WatchdogReport {
  lostRuns: number;
  missedNights: number;
  revivedDeliveries: number;
}

/** What a pass of the speed layer came to. */
export interface SpeedResult {
  /** Its number in `speed.passes`; null where there was nothing to go by, and nothing was written. */
  pass: number | null;
  /** The run whose snapshot it went by. */
  run: number | null;
  as_of: string;
  changed_users: number;
  folded_users: number;
  note: string;
}

/** What readers see after a rollback, and what they saw before. */
export type RollbackResult = RestoredVersion;

export type StageState = 'running' | 'done' | 'failed';

/** A line of the stage table, in the UI's details and on the terminal. */
export interface StageLine {
  stage: string;
  state: StageState;
  seconds: number | null;
  rows: number | null;
  note: string | null;
}

export interface NightProgress {
  run: number | null;
  asOf: string | null;
  stages: StageLine[];
}

/** Name of the query that answers `NightProgress`, for every workflow that has stages. */
export const PROGRESS_QUERY = 'progress';

/** Names of the updates by which an operator decides about a night that asks. */
export const APPROVE_UPDATE = 'approve';
export const REJECT_UPDATE = 'reject';

export interface OperatorsWord {
  /** Who decides. */
  actor: string;
  reason: string;
}

/** What came of asking. */
export interface Verdict extends OperatorsWord {
  verdict: 'approved' | 'rejected' | 'too late';
}

/** Workflow id of the night for an as-of: starting the same as-of twice at once meets the first. */
export function nightlyWorkflowId(asOf: string): string {
  return `nightly-${asOf}`;
}

/** Workflow id of a rerun: one for each time that it is asked for, by which a run knows whose it is. */
export function rerunWorkflowId(run: number, askedAt: string): string {
  return `rerun-run-${run}-${askedAt}`;
}

/** Workflow id of a grid search on the snapshot of a run; `asked` tells what is asked for from anything else. */
export function gridSearchWorkflowId(run: number, asked: string): string {
  return `grid-search-run-${run}-${asked}`;
}

/** Workflow id of an A/B test on the snapshot of a run, likewise. */
export function abTestWorkflowId(run: number, asked: string): string {
  return `ab-test-run-${run}-${asked}`;
}

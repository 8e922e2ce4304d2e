/**
 * The expected terminal conditions. Each is a non-retryable failure of a type that workflows, scripts and the
 * runbook know; anything else keeps its stack and is retried.
 */

import { ApplicationFailure } from '@temporalio/common';

export const FAILURE_TYPES = [
  /** A check of severity error did not hold: the data stays as bad however often it is asked. */
  'GateFailed',
  /** The as-of has a live or finished run with other settings: only a person can say which of them is meant. */
  'RunConflict',
  /** Settings or as-of of the workflow's input are none that can be: they stand in its history and will not change. */
  'InvalidRequest',
  /** The run's row is missing or closed: what called us works for a run that has ended. */
  'RunNotLive',
  /** The run cannot be taken up again from that stage as the ledger is: a person has to choose another way. */
  'RerunRefused',
  /** The snapshot that a grid search or an A/B test works on was dropped, or never was: no attempt brings it back. */
  'SnapshotGone',
  /** A newer attempt holds the stage's fencing token: this one was given up for dead and must not write. */
  'StageSuperseded',
  /** The trained model is unusable (NaN, no factors): the same data and seed would give the same model. */
  'ModelUnusable',
  /** Another configuration serves than when the run began: its twin was not trained, and a person has moved it. */
  'ChampionChanged',
  /** Something newer is published: an older run is never published over it. */
  'PublishRefused',
  /** The version to roll back to is not whole, or something else is served by now: a person has to look. */
  'RollbackRefused',
] as const;

export type FailureType = (typeof FAILURE_TYPES)[number];

/** Builds the failure; `message` names the run, the stage, what was expected and what to do. */
export function terminalFailure(type: FailureType, message: string, details?: unknown): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, type, ...(details === undefined ? [] : [details]));
}

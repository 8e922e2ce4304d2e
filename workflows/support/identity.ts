import { defineSearchAttributeKey } from '@temporalio/common';
import { upsertMemo, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { NightlyResult } from '../contracts.ts';
import { searchAttributes } from '../search-attributes.ts';
import { describeFailure } from './failures.ts';
import type { StageBoard } from './stage-board.ts';

const scheduledStart = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/** The schedule's nominal time, which a late or backfilled run keeps; else when the workflow was started. */
export function nominalTime(): string {
  const { typedSearchAttributes, startTime } = workflowInfo();
  return (typedSearchAttributes.get(scheduledStart) ?? startTime).toISOString();
}

/** Whether a schedule started this workflow; else a person or a program did. */
export function isScheduled(): boolean {
  return workflowInfo().typedSearchAttributes.get(scheduledStart) !== undefined;
}

/** What the ledger knows a workflow by. The original run id survives a reset; the current one does not. */
export function whoAmI(): { workflowId: string; executionId: string } {
  const { workflowId, originalExecutionRunId } = workflowInfo();
  return { workflowId, executionId: originalExecutionRunId };
}

/** Makes the run findable in the UI's list. */
export function showIdentity(run: number, asOf: string): void {
  upsertSearchAttributes([
    { key: searchAttributes.run, value: run },
    { key: searchAttributes.asOf, value: new Date(asOf) },
    { key: searchAttributes.outcome, value: 'running' },
  ]);
}

/** Leaves the outcome of a night that has no row in the ledger: refused, or cancelled while it waited. */
export function showRefusal(board: StageBoard): (error: unknown) => never {
  return (error) => {
    const { status, reason } = describeFailure(error, null);
    upsertSearchAttributes([{ key: searchAttributes.outcome, value: status }]);
    board.conclude(`**${status}**: ${reason}`);
    throw error;
  };
}

/** Leaves the outcome where it can be seen when no worker answers queries any more: attributes and memo. */
export function showOutcome(board: StageBoard, outcome: NightlyResult): NightlyResult {
  upsertSearchAttributes([
    { key: searchAttributes.outcome, value: outcome.status },
    { key: searchAttributes.modelVersion, value: outcome.model_version },
    { key: searchAttributes.champion, value: outcome.champion },
    { key: searchAttributes.rmse, value: outcome.rmse },
    { key: searchAttributes.alert, value: outcome.alerts[0] ?? null },
  ]);
  upsertMemo({ outcome });
  board.conclude(`**${outcome.status}**: ${outcome.reason}`);
  return outcome;
}

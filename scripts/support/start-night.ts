import {
  type Client,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowIdConflictPolicy,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import {
  type NightlyRequest,
  type NightlyResult,
  TASK_QUEUES,
  nightlyWorkflowId,
} from '../../workflows/contracts.ts';
import type { nightlyPipeline } from '../../workflows/index.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';
import { NIGHT_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';

/** Starts the night for an as-of, or takes hold of the one that runs for it. */
export function startNight(
  client: Client,
  request: NightlyRequest & { asOf: string },
): Promise<WorkflowHandleWithFirstExecutionRunId<typeof nightlyPipeline>> {
  return client.workflow.start<typeof nightlyPipeline>('nightlyPipeline', {
    workflowId: nightlyWorkflowId(request.asOf),
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    taskQueue: TASK_QUEUES.pipeline,
    args: [request],
    workflowExecutionTimeout: NIGHT_EXECUTION_TIMEOUT,
    staticSummary: `nightly, as-of ${request.asOf}`,
    staticDetails: `profile ${request.profile}${(request.overrides ?? []).map((set) => `\n- ${set}`).join('')}`,
    typedSearchAttributes: [{ key: searchAttributes.asOf, value: new Date(request.asOf) }],
  });
}

/**
 * What a night came to: its result, or what a failed one left in its memo.
 * @throws the workflow's failure where it ended before its run was in the ledger
 */
export async function outcomeOf(
  handle: WorkflowHandle,
  result: Promise<NightlyResult>,
): Promise<NightlyResult> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { memo } = await handle.describe();
    if (memo?.outcome === undefined) throw error;
    return memo.outcome as NightlyResult;
  }
}

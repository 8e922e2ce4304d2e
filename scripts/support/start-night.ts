import {
  type Client,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowIdConflictPolicy,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import { UsageError, resolveSettings, settingsHash } from '../../config/settings.ts';
import {
  type NightlyRequest,
  type NightlyResult,
  TASK_QUEUES,
  nightlyWorkflowId,
} from '../../workflows/contracts.ts';
import type { nightlyPipeline } from '../../workflows/index.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';
import { NIGHT_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';

/** The workflow of a night that was started. */
export type StartedNight = WorkflowHandle & { firstExecutionRunId: string };

/**
 * Starts the night for an as-of, or takes hold of the one that runs for it.
 * @throws UsageError where the one that runs has other settings
 */
export async function startNight(
  client: Client,
  request: NightlyRequest & { asOf: string },
): Promise<WorkflowHandleWithFirstExecutionRunId<typeof nightlyPipeline>> {
  const settings = settingsHash(resolveSettings(request.profile, request.overrides));
  const handle = await client.workflow.start<typeof nightlyPipeline>('nightlyPipeline', {
    workflowId: nightlyWorkflowId(request.asOf),
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    taskQueue: TASK_QUEUES.pipeline,
    args: [request],
    workflowExecutionTimeout: NIGHT_EXECUTION_TIMEOUT,
    staticSummary: `nightly, as-of ${request.asOf}`,
    staticDetails: `profile ${request.profile}${(request.overrides ?? []).map((set) => `\n- ${set}`).join('')}`,
    typedSearchAttributes: [{ key: searchAttributes.asOf, value: new Date(request.asOf) }],
    memo: { settings },
  });
  const { memo } = await handle.describe();
  if (memo?.settings !== settings) {
    throw new UsageError(
      `--as-of ${request.asOf}: its night runs already, with other settings; cancel it, or choose another as-of`,
    );
  }
  return handle;
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

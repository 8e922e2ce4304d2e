/** Replaying a recorded history against workflow code. */

import { DefaultLogger, type WorkflowBundleOption, Worker, bundleWorkflowCode } from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import type { RecordedHistory } from './histories.ts';
import { historyFromJson } from './history-json.ts';
// For its runtime, which is quiet: a replay that fails is looked at by the test that asked for it.
import '../support/temporal.ts';

export const WORKFLOWS = fileURLToPath(new URL('../../workflows', import.meta.url));

export function bundleWorkflows(folder = WORKFLOWS): Promise<WorkflowBundleOption> {
  return bundleWorkflowCode({ workflowsPath: `${folder}/index.ts`, logger: new DefaultLogger('WARN') });
}

/** @throws DeterminismViolationError where the code does not do what the history says it did */
export function replay(workflowBundle: WorkflowBundleOption, recorded: RecordedHistory): Promise<void> {
  return Worker.runReplayHistory({ workflowBundle }, historyFromJson(recorded.history), recorded.workflowId);
}

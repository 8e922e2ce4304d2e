/** Replaying a recorded history against workflow code. */

import { DefaultLogger, type WorkflowBundleOption, Worker, bundleWorkflowCode } from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import { createLogger, installRuntime } from '../../worker/logging.ts';
import type { RecordedHistory } from './histories.ts';
import { historyFromJson } from './history-json.ts';

// A replay that fails is looked at by the test that asked for it: LOG_LEVEL=warn shows what the SDK says.
installRuntime(createLogger(process.env.LOG_LEVEL ?? 'fatal'));

export const WORKFLOWS = fileURLToPath(new URL('../../workflows', import.meta.url));

export function bundleWorkflows(folder = WORKFLOWS): Promise<WorkflowBundleOption> {
  return bundleWorkflowCode({ workflowsPath: `${folder}/index.ts`, logger: new DefaultLogger('WARN') });
}

/** @throws DeterminismViolationError where the code does not do what the history says it did */
export function replay(workflowBundle: WorkflowBundleOption, recorded: RecordedHistory): Promise<void> {
  return Worker.runReplayHistory({ workflowBundle }, historyFromJson(recorded.history), recorded.workflowId);
}

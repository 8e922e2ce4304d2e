import { type ChildWorkflowOptions, ParentClosePolicy, workflowInfo } from '@temporalio/workflow';
import type { RunRequest } from '../contracts.ts';

const SUMMARIES = {
  features: 'feature store',
  'ab-test': 'A/B test of the challengers',
  publish: 'score and publish',
} as const;

/**
 * Options of a child of the night: named after its parent and its run, so that what a terminated night has left open
 * is in no later night's way, and cancelled with its parent.
 */
export function childOptions<Request extends RunRequest>(
  kind: keyof typeof SUMMARIES,
  request: Request,
): Pick<ChildWorkflowOptions, 'workflowId' | 'parentClosePolicy' | 'staticSummary'> & { args: [Request] } {
  return {
    args: [request],
    workflowId: `${workflowInfo().workflowId}/run-${request.run}/${kind}`,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: `${SUMMARIES[kind]} of run ${request.run}`,
  };
}

import { Context } from '@temporalio/activity';

/** Id of the workflow that an activity works for. */
export function ownWorkflow(): string | undefined {
  return Context.current().info.workflowExecution?.workflowId;
}

/** Whether the activity works for a workflow or a child of it: those are named after their parents. */
export function worksFor(workflowId: string): boolean {
  const own = ownWorkflow();
  return own === workflowId || own?.startsWith(`${workflowId}/`) === true;
}

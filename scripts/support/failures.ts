/** What a command's failure means to the engineer, Temporal's among them. */

import { ServiceError, WorkflowFailedError, isGrpcServiceError } from '@temporalio/client';
import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { UsageError } from '../../config/settings.ts';

/** What a workflow's failure says is that it failed; why stands in its causes. */
export function rootCause(error: unknown): unknown {
  return error instanceof WorkflowFailedError || error instanceof TemporalFailure
    ? error.cause === undefined
      ? error
      : rootCause(error.cause)
    : error;
}

export function messageOf(error: unknown): string {
  // The client's own sentence does not say what the server answered.
  if (error instanceof ServiceError && isGrpcServiceError(error.cause))
    return `${error.message}: ${error.cause.details}`;
  return error instanceof Error ? error.message : String(error);
}

/** Input that only the pipeline itself could judge: settings, an as-of that has another run, a run to be taken up again. */
export function isBadInput(error: unknown): boolean {
  return (
    error instanceof UsageError ||
    (error instanceof ApplicationFailure &&
      ['InvalidRequest', 'RunConflict', 'RerunRefused'].includes(error.type ?? ''))
  );
}

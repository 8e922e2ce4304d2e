import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  isCancellation,
} from '@temporalio/workflow';
import type { RunFailure } from '../../activities/monitoring/index.ts';

/** What goes into the run log about an error: the terminal type where it has one, and the sentence. */
export function describeFailure(error: unknown, failedStage: string | null): RunFailure {
  if (isCancellation(error)) {
    return { status: 'cancelled', type: 'Cancelled', failedStage, reason: 'cancelled by request' };
  }
  const cause = rootCause(error);
  return {
    status: 'failed',
    type: cause instanceof ApplicationFailure ? (cause.type ?? 'Error') : 'Error',
    failedStage,
    reason: cause instanceof Error ? cause.message : String(cause),
  };
}

function rootCause(error: unknown): unknown {
  return (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) &&
    error.cause !== undefined
    ? rootCause(error.cause)
    : error;
}

import {
  CancellationScope,
  ParentClosePolicy,
  patched,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { deliverAlerts } from '../deliver-alerts.ts';
import type { NightlyResult } from '../contracts.ts';
import { DELIVERY_EXECUTION_TIMEOUT } from '../timeouts.ts';
import { showOutcome } from './identity.ts';
import type { StageBoard } from './stage-board.ts';

/** Ends a night: its outcome is shown, and whoever gets alerts is told. */
export async function announce(board: StageBoard, outcome: NightlyResult): Promise<NightlyResult> {
  if (outcome.alerts.length > 0 && tellsOfAlerts()) await startDelivery();
  return showOutcome(board, outcome);
}

/** Nights that began before there was anything to deliver by go on without. */
export function tellsOfAlerts(): boolean {
  return patched('deliver-alerts');
}

/** Tells whoever gets alerts that a night waits for them. One that asked before there was this goes on without. */
export async function tellOperator(): Promise<void> {
  if (patched('tell-operator')) await startDelivery();
}

/**
 * Starts the delivery of the alerts that wait, and goes on at once: it outlives its parent, which no receiver can delay
 * or fail. Where it cannot be started the watchdog does so.
 */
export async function startDelivery(): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    startChild(deliverAlerts, {
      workflowId: `${workflowInfo().workflowId}/alerts-${uuid4().slice(0, 8)}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowExecutionTimeout: DELIVERY_EXECUTION_TIMEOUT,
      staticSummary: 'delivery of alerts',
    }),
  ).catch(() => undefined);
}

import { CancellationScope, setWorkflowOptions } from '@temporalio/workflow';
import type { Delivery, DeliveryOutcome } from '../activities/monitoring/index.ts';
import type { DeliveryReport } from './contracts.ts';
import * as activities from './proxies.ts';
import { whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';
import { showDeliveries } from './support/deliveries.ts';

/**
 * Delivers every alert that nobody has taken yet, by each channel that is configured, all at the same time: one
 * receiver that is gone keeps nothing from another. What has not arrived within a day, or when this is cancelled, is
 * marked undelivered.
 */
export async function deliverAlerts(): Promise<DeliveryReport> {
  const board = createStageBoard();
  const { deliveries } = await board.stage('take', () => activities.takeAlerts(whoAmI()));
  const outcomes = await Promise.all(
    deliveries.map((delivery) =>
      board.stage(`alert ${delivery.alert} by ${delivery.channel}`, () => deliver(delivery)),
    ),
  );
  return showDeliveries(board, outcomes);
}

async function deliver(delivery: Delivery): Promise<DeliveryOutcome & { note: string }> {
  const outcome = await activities
    .deliverAlert(delivery)
    .catch(() => CancellationScope.nonCancellable(() => activities.giveUpDelivery(delivery)));
  return { ...outcome, note: outcome.error ?? outcome.delivery };
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, deliverAlerts);

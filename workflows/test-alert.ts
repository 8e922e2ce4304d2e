import { setWorkflowOptions } from '@temporalio/workflow';
import type { DeliveryReport, TestAlertRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';
import { showDeliveries } from './support/deliveries.ts';

/** Sends one alert by each channel that the worker has configured, once, to see whether it arrives. */
export async function testAlert(request: TestAlertRequest): Promise<DeliveryReport> {
  const board = createStageBoard();
  const { deliveries } = await board.stage('raise', () =>
    activities.raiseTestAlert({ ...request, ...whoAmI() }),
  );
  const outcomes = await Promise.all(
    deliveries.map((delivery) =>
      board.stage(delivery.channel, () =>
        activities.deliverAlertOnce(delivery).catch(() => activities.giveUpDelivery(delivery)),
      ),
    ),
  );
  return showDeliveries(board, outcomes);
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, testAlert);

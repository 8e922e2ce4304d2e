import { setWorkflowOptions } from '@temporalio/workflow';
import type { WatchdogReport, WatchdogRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { startDelivery } from './support/alerts.ts';
import { createStageBoard } from './support/stage-board.ts';

/**
 * Looks for what nights cannot tell of themselves: runs whose workflow was terminated, nights that were missed or
 * skipped, alerts whose delivery was lost.
 */
export async function watchdog({ schedules, ...request }: WatchdogRequest): Promise<WatchdogReport> {
  const board = createStageBoard();
  const lost = await board.stage('lost runs', () => activities.closeLostRuns());
  let missed = 0;
  for (const schedule of schedules) {
    const found = await board.stage(`nights of ${schedule}`, () =>
      activities.findMissedNights({ schedule, ...request }),
    );
    missed += found.rows;
  }
  const { rows: revived, alertsWaiting } = await board.stage('deliveries', () =>
    activities.reviveDeliveries(),
  );
  if (alertsWaiting > 0) await startDelivery();
  return { lostRuns: lost.rows, missedNights: missed, revivedDeliveries: revived };
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, watchdog);

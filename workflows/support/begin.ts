import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { BegunRun, ReopenedRun } from '../../activities/monitoring/index.ts';
import type { NightlyRequest, RerunRequest } from '../contracts.ts';
import * as activities from '../proxies.ts';
import { startDelivery, tellsOfAlerts } from './alerts.ts';
import { describeFailure } from './failures.ts';
import { isScheduled, showRefusal, whoAmI } from './identity.ts';
import type { StageBoard } from './stage-board.ts';

/** Enters the night's run in the ledger. One that cannot be entered has no row to tell of it: an alert does. */
export async function beginNight(
  board: StageBoard,
  request: NightlyRequest,
  asOf: string,
): Promise<BegunRun> {
  try {
    const begun = await board.stage('begin', () => activities.beginRun({ ...request, asOf, ...whoAmI() }));
    if (begun.alertsWaiting && tellsOfAlerts()) await startDelivery();
    return begun;
  } catch (error) {
    // The failure itself is what the night ends with, whatever becomes of its alert.
    if (!isCancellation(error) && tellsOfAlerts()) await tellOfRefusal(error, asOf).catch(() => undefined);
    return showRefusal(board)(error);
  }
}

/** Makes a run live again. Where that is refused, whoever asked is told; nothing has changed that others should know of. */
export async function reopenNight(board: StageBoard, request: RerunRequest): Promise<ReopenedRun> {
  const reopened = await board
    .stage('begin', () => activities.reopenRun({ ...request, ...whoAmI() }))
    .catch(showRefusal(board));
  if (reopened.alertsWaiting) await startDelivery();
  return reopened;
}

function tellOfRefusal(error: unknown, asOf: string): Promise<void> {
  const { type, reason } = describeFailure(error, null);
  return CancellationScope.nonCancellable(async () => {
    const { alerts } = await activities.reportRefusal({ asOf, type, reason, scheduled: isScheduled() });
    if (alerts > 0) await startDelivery();
  });
}

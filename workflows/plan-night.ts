import { setWorkflowOptions } from '@temporalio/workflow';
import type { NightPlan, NightlyRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { nominalTime } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';

/** What a night that started now would read, check, train, publish and delete. Writes nothing. */
export async function planNight(request: NightlyRequest): Promise<NightPlan> {
  const board = createStageBoard();
  const asOf = request.asOf ?? nominalTime();
  return board.stage('plan', () => activities.planNight({ ...request, asOf }));
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, planNight);

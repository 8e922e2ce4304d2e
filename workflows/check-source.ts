import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';
import type { CheckReport } from '../activities/quality/index.ts';
import type { NightlyRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { createStageBoard } from './support/stage-board.ts';
import { nominalTime } from './support/identity.ts';

/** Runs the gates of the source alone: what a night that started now would find. Writes nothing. */
export async function checkSource(request: NightlyRequest): Promise<CheckReport[]> {
  const board = createStageBoard();
  const startedAt = workflowInfo().startTime.toISOString();
  const asOf = request.asOf ?? nominalTime();
  return board.stage('checks', () => activities.checkSource({ ...request, asOf, startedAt }));
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, checkSource);

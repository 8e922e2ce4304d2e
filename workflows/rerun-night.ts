import { setWorkflowOptions } from '@temporalio/workflow';
import type { NightlyResult, RerunRequest } from './contracts.ts';
import { runStages } from './nightly-pipeline.ts';
import { reopenNight } from './support/begin.ts';
import { createDecisionPoint } from './support/operator.ts';
import { createStageBoard } from './support/stage-board.ts';

/**
 * Goes on with a run that ended without success, from one of its stages on: the same run, as-of and settings. Stages
 * before that one answer what they found then; that one and all after it are done anew.
 *
 * @returns the outcome, which takes the place of the one that the run had
 * @throws InvalidRequest, RerunRefused, and what a night throws
 */
export async function rerunNight(request: RerunRequest): Promise<NightlyResult> {
  const board = createStageBoard();
  const operator = createDecisionPoint();
  const begun = await reopenNight(board, request);
  return runStages(begun, begun.asOf, { board, operator });
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, rerunNight);

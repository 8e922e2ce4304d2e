import { setWorkflowOptions } from '@temporalio/workflow';
import type { ArmsResult } from '../activities/selection/index.ts';
import type { AbTestRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { createStageBoard } from './support/stage-board.ts';

/**
 * Trains an evaluation twin of every arm and compares them, paired by user, on the whole
 * holdout; the groups' own metrics are reported beside it.
 */
export async function abTest({ run, arms }: AbTestRequest): Promise<ArmsResult> {
  const board = createStageBoard();
  await Promise.all(
    arms.map((configuration) =>
      board.stage(`${configuration.family} rank ${configuration.rank}`, () =>
        activities.evaluateTwin({ run, configuration }),
      ),
    ),
  );
  return board.stage('comparison', () => activities.compareArms({ run, arms }));
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, abTest);

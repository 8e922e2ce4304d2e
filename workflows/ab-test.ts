import { setWorkflowOptions } from '@temporalio/workflow';
import type { ArmsResult } from '../activities/selection/index.ts';
import type { AbTestRequest, AbTestResult, AdHocAbTestRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';
import { tellingName } from './support/telling-name.ts';

/**
 * Trains an evaluation twin of every arm and compares them, paired by user, on the whole
 * holdout; the groups' own metrics are reported beside it. A child of the night, for its challengers; or by
 * itself, for what an engineer asks.
 */
export function abTest(request: AbTestRequest | AdHocAbTestRequest): Promise<ArmsResult | AbTestResult> {
  return 'adHoc' in request ? testAdHoc(request) : testChallengers(request);
}

async function testChallengers({ run, arms }: AbTestRequest): Promise<ArmsResult> {
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

/**
 * On the snapshot of a run that has ended. Writes rows of its own; what is served and the run it looks at stay.
 * @throws InvalidRequest, SnapshotGone, or ModelUnusable where an arm gives no usable model
 */
async function testAdHoc(request: AdHocAbTestRequest): Promise<AbTestResult> {
  const board = createStageBoard();
  const { test, run, asOf, twins } = await board.stage('begin', () =>
    activities.beginAbTest({ ...request, ...whoAmI() }),
  );
  board.identify(run, asOf);
  // Each to its end: one that fails or is cancelled leaves none of the others at work behind it.
  const measured = await Promise.allSettled(
    twins.map((configuration) =>
      board.stage(tellingName(configuration, twins), () =>
        activities.evaluateArmTwin({ test, configuration }),
      ),
    ),
  );
  for (const twin of measured) if (twin.status === 'rejected') throw twin.reason;
  const found = await board.stage('comparison', () => activities.finishAbTest({ test }));
  board.conclude(`**${found.decided ? 'decided' : 'undecided'}**: ${found.note}`);
  return found;
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, abTest);

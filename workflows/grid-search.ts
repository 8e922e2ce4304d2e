import { setWorkflowOptions } from '@temporalio/workflow';
import type { GridSearchRequest, GridSearchResult } from './contracts.ts';
import * as activities from './proxies.ts';
import { whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';
import { tellingName } from './support/telling-name.ts';

/**
 * Tries every configuration of a grid on one snapshot, as many at a time as there are slots for numeric work, and
 * chooses the best by a named metric. Writes rows of its own; what is served and the run it looks at stay as they are.
 *
 * @throws InvalidRequest, SnapshotGone, or ModelUnusable where no point gives a usable model
 */
export async function gridSearch(request: GridSearchRequest): Promise<GridSearchResult> {
  const board = createStageBoard();
  const { search, run, asOf } = await board.stage('begin', () =>
    activities.beginGridSearch({ ...request, ...whoAmI() }),
  );
  board.identify(run, asOf);
  const { points } = request;
  // Each to its end: one that fails or is cancelled leaves none of the others at work behind it.
  const tried = await Promise.allSettled(
    points.map((configuration) =>
      board.stage(tellingName(configuration, points), () =>
        activities.evaluateGridPoint({ search, configuration }),
      ),
    ),
  );
  for (const point of tried) if (point.status === 'rejected') throw point.reason;
  const found = await board.stage('best', () => activities.finishGridSearch({ search }));
  board.conclude(`**best of ${found.points}**: ${found.note}`);
  return found;
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, gridSearch);

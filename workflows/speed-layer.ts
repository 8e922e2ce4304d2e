import { setWorkflowOptions } from '@temporalio/workflow';
import type { SpeedRequest, SpeedResult } from './contracts.ts';
import * as activities from './proxies.ts';
import { nominalTime, whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';

/**
 * A pass of the speed layer: shows what has come into the source since the last night. Trending and movie statistics
 * first, then the lists of users who have rated since. Where there is nothing to go by it says so and changes nothing.
 *
 * @throws InvalidRequest where a setting is none, or the worker works for another database
 */
export async function speedLayer(request: SpeedRequest): Promise<SpeedResult> {
  const board = createStageBoard();
  const found = await board.stage('statistics', () =>
    activities.updateStatistics({ ...request, asOf: request.asOf ?? nominalTime(), ...whoAmI() }),
  );
  const { pass, run, asOf, changedUsers, note } = found;
  const shown = { pass, run, as_of: asOf, changed_users: changedUsers };
  if (pass === null || run === null) {
    board.conclude(note);
    return { ...shown, folded_users: 0, note };
  }
  board.identify(run, asOf);
  const folded = await board.stage('fold in', () => activities.foldInPass({ pass }));
  const both = `${note}; ${folded.note}`;
  board.conclude(`**pass ${pass}**: ${both}`);
  return { ...shown, folded_users: folded.rows, note: both };
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, speedLayer);

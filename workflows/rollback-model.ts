import { setWorkflowOptions, upsertSearchAttributes } from '@temporalio/workflow';
import type { RollbackRequest, RollbackResult } from './contracts.ts';
import * as activities from './proxies.ts';
import { searchAttributes } from './search-attributes.ts';
import { whoAmI } from './support/identity.ts';
import { createStageBoard } from './support/stage-board.ts';

/**
 * Shows readers a kept version again: verified to be whole before anything moves, then moved all at once. Its
 * configuration is the champion from then on, and the next night trains it again.
 *
 * @throws InvalidRequest where there is no such version, RollbackRefused where it cannot be served or another one is by now
 */
export async function rollbackModel({ reason, actor, ...wanted }: RollbackRequest): Promise<RollbackResult> {
  const board = createStageBoard();
  const { run, asOf, served } = await board.stage('verify', () => activities.verifyVersion(wanted));
  board.identify(run, asOf);
  const moved = await board.stage('pointer', () =>
    activities.restoreVersion({ run, served, reason, actor, ...whoAmI() }),
  );
  upsertSearchAttributes([
    { key: searchAttributes.modelVersion, value: moved.model_version },
    { key: searchAttributes.champion, value: moved.champion },
  ]);
  board.conclude(`**${moved.note}**: ${reason} (${actor})`);
  return moved;
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, rollbackModel);

import { upsertSearchAttributes } from '@temporalio/workflow';
import type { DeliveryOutcome } from '../../activities/monitoring/index.ts';
import type { DeliveryReport } from '../contracts.ts';
import { searchAttributes } from '../search-attributes.ts';
import type { StageBoard } from './stage-board.ts';

/** Leaves what became of deliveries where lists can be filtered by it: `NightjarOutcome = 'undelivered'`. */
export function showDeliveries(board: StageBoard, outcomes: DeliveryOutcome[]): DeliveryReport {
  const undelivered = outcomes.filter(({ delivery }) => delivery !== 'delivered').length;
  const outcome = undelivered > 0 ? 'undelivered' : 'delivered';
  if (outcomes.length > 0) upsertSearchAttributes([{ key: searchAttributes.outcome, value: outcome }]);
  board.conclude(
    outcomes.length === 0
      ? 'nothing to deliver'
      : `**${outcome}**: ${outcomes.length - undelivered} of ${outcomes.length} arrived`,
  );
  return {
    deliveries: outcomes.map(({ alert, channel, delivery, error }) => ({ alert, channel, delivery, error })),
  };
}

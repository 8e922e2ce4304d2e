import type { Connection } from '../../database/connect.ts';
import type { StageResult } from '../support/stage.ts';
import { closeRun } from './close-run.ts';
import type { RunOutcome } from './outcome.ts';
import type { OwnTemporal } from './own-temporal.ts';

/** Ends a run whose workflow is closed without having ended it. */
export function closeLostRun(connection: Connection, run: number, workflowId: string): Promise<RunOutcome> {
  return closeRun(connection, run, {
    status: 'failed',
    type: 'Terminated',
    failedStage: null,
    reason: `workflow ${workflowId} was closed without ending its run: terminated or timed out`,
  });
}

/** Ends the runs that the ledger has as live and whose workflow in this namespace is closed. */
export async function closeLostRuns(
  connection: Connection,
  temporal: OwnTemporal,
): Promise<StageResult & { note: string }> {
  const live = await connection.db
    .selectFrom('pipeline.runs')
    .select(['run', 'workflow_id', 'execution_id'])
    .where('status', '=', 'running')
    .where('namespace_id', '=', await temporal.namespaceId())
    .execute();
  const lost: number[] = [];
  for (const { run, workflow_id: workflowId, execution_id: executionId } of live) {
    if (await temporal.isOpen({ workflowId, executionId })) continue;
    await closeLostRun(connection, run, workflowId);
    lost.push(run);
  }
  return { rows: lost.length, note: lost.map((run) => `run ${run}`).join(', ') };
}

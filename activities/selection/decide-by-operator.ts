import type { Connection } from '../../database/connect.ts';
import { type RunReference } from '../support/run.ts';
import { runStage } from '../support/stage.ts';
import { recordDecision } from './record-decision.ts';
import { OPERATOR_STAGE, type SelectionResult, readSelection } from './result.ts';

export interface OperatorInput extends RunReference {
  verdict: 'approved' | 'rejected' | 'too late';
  actor: string;
  reason: string;
}

/** Makes an operator's word the night's decision: published as it would have been, or blocked. */
export function decideByOperator(
  connection: Connection,
  { run, verdict, actor, reason }: OperatorInput,
  signal: AbortSignal,
): Promise<SelectionResult> {
  return runStage(connection, { run, stage: OPERATOR_STAGE, signal }, async (attempt) => {
    const asked = await readSelection(connection.db, run);
    const why = `${verdict === 'too late' ? '' : `${verdict} by ${actor}: `}${reason}`;
    const result: SelectionResult =
      verdict === 'approved' && asked.ask !== undefined
        ? {
            ...asked,
            decision: asked.ask.decision,
            serve: true,
            actor,
            reason: `${asked.ask.reason}; ${why}`,
            note: why,
          }
        : { ...asked, actor, reason: `${asked.reason}; ${why}`, note: why };
    return attempt.finish(async ({ db }) => {
      if (!result.serve) {
        await recordDecision(db, run, result);
        await db.updateTable('models.metadata').set({ status: 'rejected' }).where('run', '=', run).execute();
      }
      return result;
    });
  });
}

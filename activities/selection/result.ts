import { sql } from 'kysely';
import type { ModelConfiguration } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import type { Promotions } from '../../database/types/index.ts';
import type { StageResult } from '../support/stage.ts';

/** Stage under which the night's decision is kept; publishing and the run log read it there. */
export const SELECTION_STAGE = 'select';
/** Stage of an operator's word, which takes the place of the night's own. */
export const OPERATOR_STAGE = 'operator';

/** The decision of a night about the champion. */
export interface SelectionResult extends StageResult {
  decision: Promotions['decision'];
  /** Whether the night goes on to refit and publish. */
  serve: boolean;
  /** The configuration decided for. */
  configuration: string;
  parameters: ModelConfiguration;
  modelVersion: string;
  /** The champion so far. */
  from: string | null;
  /** The decision in words. */
  reason: string;
  numbers: Record<string, number | null>;
  /** Who decided, where it was not the night itself. */
  actor?: string;
  /** Where an operator is asked: how long, and what is decided if they approve. */
  ask?: { hours: number; decision: Promotions['decision']; reason: string };
  note: string;
}

/** The decision of a run, and whose it is; undefined before there is one. */
export async function findSelection(
  db: Db,
  run: number,
): Promise<{ stage: string; result: SelectionResult } | undefined> {
  const row = await db
    .selectFrom('pipeline.stages')
    .select(['stage', 'result'])
    .where('run', '=', run)
    .where('stage', 'in', [SELECTION_STAGE, OPERATOR_STAGE])
    .where('status', '=', 'done')
    .orderBy(sql`stage = ${OPERATOR_STAGE}`, 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : { stage: row.stage, result: row.result as SelectionResult };
}

/** The decision of a run that has come to one. */
export async function readSelection(db: Db, run: number): Promise<SelectionResult> {
  const found = await findSelection(db, run);
  if (found === undefined)
    throw new Error(`run ${run} has no decision: stage ${SELECTION_STAGE} is not done`);
  return found.result;
}

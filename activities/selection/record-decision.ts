import type { Db } from '../../database/connect.ts';
import type { SelectionResult } from './result.ts';

/** Adds a decision to the history of decisions, in the transaction that carries it out. */
export async function recordDecision(db: Db, run: number, result: SelectionResult): Promise<void> {
  await db
    .insertInto('models.promotions')
    .values({
      run,
      decision: result.decision,
      from_configuration: result.from,
      to_configuration: result.configuration,
      reason: result.reason,
      numbers: JSON.stringify(result.numbers),
      actor: result.actor ?? 'nightly',
      reopening: db
        .selectFrom('pipeline.reopenings')
        .where('run', '=', run)
        .select(({ fn }) => fn.countAll<number>().as('times')),
    })
    .execute();
}

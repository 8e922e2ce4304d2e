import { ApplicationFailure } from '@temporalio/common';
import { type NightStage, stagesAround } from '../../../config/stages.ts';
import type { Connection, Db } from '../../../database/connect.ts';
import { followedBy } from '../../ingestion/batch.ts';
import { dropPartitions } from '../../publishing/leftovers.ts';
import type { RunReference } from '../../support/run.ts';
import { type StageResult, runStage } from '../../support/stage.ts';
import { tablesOf } from './data.ts';
import { UNDO_STAGE } from './traces.ts';

/**
 * Drops what the undone stages of a re-opened run have left in partitions, before any of them is done anew; no reader's
 * view has looked at it.
 * @throws where a reader's transaction holds on to one for too long, to be tried again
 */
export function dropUndone(
  connection: Connection,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<StageResult> {
  return runStage(connection, { run, stage: UNDO_STAGE, signal }, async (attempt) => {
    const { from_stage } = await connection.db
      .selectFrom('pipeline.reopenings')
      .select('from_stage')
      .where('run', '=', run)
      .orderBy('reopening', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    const { onwards } = stagesAround(from_stage as NightStage);
    // Where the batch stands: where it is undone too there is none.
    const follows = await followedBy(connection.db, run);
    let rows = 0;
    for (const table of onwards.flatMap((stage) => tablesOf(stage, follows))) {
      // An attempt that was given up for dead and wakes here must not drop what is made anew by then.
      await attempt.write(() => Promise.resolve());
      const { partitions, deferred } = await dropPartitions(
        connection,
        [table],
        (one) => one === run,
        signal,
      );
      if (deferred)
        throw ApplicationFailure.retryable(
          `run ${run}, stage ${UNDO_STAGE}: a reader's transaction holds on to ${table}, expected none on what was never published; asks again, or end it: pg_stat_activity`,
          'ReaderHoldsOn',
        );
      rows += partitions;
    }
    return attempt.finish(async ({ db }) => {
      // Once nobody can read the snapshot: a pass that is under way with it has ended, for what it read is dropped.
      if (onwards.includes('silver')) await forgetRecent(db, run);
      return { rows };
    });
  });
}

/** What the speed layer has found in the snapshot and keeps for its later passes is not of the one that is built anew. */
async function forgetRecent(db: Db, run: number): Promise<void> {
  await db.updateTable('speed.latest').set({ recent_since: null }).where('base_run', '=', run).execute();
}

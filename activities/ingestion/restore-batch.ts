import { log } from '@temporalio/activity';
import { transaction } from '../../database/session.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { ingestBronze } from './ingest-bronze.ts';
import { forgetBatch, isLost } from './lost-batch.ts';

/**
 * Reads the run's batch again where a crash of PostgreSQL has emptied it: its ratings are unlogged. For the stages that
 * need them; once there is a snapshot, none does.
 */
export async function restoreBatch(
  dependencies: ActivityDependencies,
  reference: RunReference,
  heartbeat: Heartbeat,
): Promise<void> {
  const { run } = reference;
  const { connection } = dependencies;
  const snapshot = await connection.db
    .selectFrom('silver.snapshots')
    .select('run')
    .where('run', '=', run)
    .executeTakeFirst();
  if (snapshot !== undefined || !(await isLost(connection.db, run))) return;
  log.warn('a crash of PostgreSQL has emptied the batch, which is unlogged: the source is read again', {
    run,
  });
  await transaction(connection, ({ db }) => forgetBatch(db, run), { signal: heartbeat.signal });
  await ingestBronze(dependencies, reference, heartbeat);
}

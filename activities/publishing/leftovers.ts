import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { type VersionedTable, dropPartition, partitionedRuns } from '../../database/versions.ts';
import { SNAPSHOT_TABLES, STORE_TABLES } from './store-tables.ts';

/** What a reader who holds on to an old table may cost the start of a night; the rest is dropped by the next one. */
const PATIENCE = '5s';

/**
 * Drops what closed runs up to `run` left behind that were never published: failed, blocked, cancelled, terminated.
 * No reader's view has ever looked at it.
 */
export async function dropLeftovers({ db }: Connection, run: number): Promise<void> {
  const published = await db
    .selectFrom('serving.versions')
    .select('run')
    .union(db.selectFrom('serving.pointer').select('data_run as run'))
    .execute();
  const live = await db.selectFrom('pipeline.runs').select('run').where('status', '=', 'running').execute();
  const wanted = new Set([...published, ...live].map((one) => one.run));
  await db.connection().execute(async (one) => {
    await sql`select set_config('statement_timeout', ${PATIENCE}, false)`.execute(one);
    try {
      await dropPartitions(
        one,
        [...SNAPSHOT_TABLES, ...STORE_TABLES],
        (old) => old <= run && !wanted.has(old),
      );
    } catch (error) {
      const QUERY_CANCELED = '57014';
      if ((error as { code?: unknown }).code !== QUERY_CANCELED) throw error;
    } finally {
      await sql`reset statement_timeout`.execute(one);
    }
  });
  await db
    .deleteFrom('pipeline.checkpoints')
    .where('run', 'not in', (live) =>
      live.selectFrom('pipeline.runs').select('run').where('status', '=', 'running'),
    )
    .execute();
}

/** Drops the partitions of the runs that `doomed` says, and returns how many. */
export async function dropPartitions(
  db: Db,
  tables: readonly VersionedTable[],
  doomed: (run: number) => boolean,
): Promise<number> {
  let dropped = 0;
  for (const table of tables) {
    for (const old of (await partitionedRuns(db, table)).filter(doomed)) {
      await dropPartition(db, table, old);
      dropped++;
    }
  }
  return dropped;
}

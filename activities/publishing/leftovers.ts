import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { outsideTransaction } from '../../database/session.ts';
import { heldSnapshots, imagesOf } from '../../database/snapshots.ts';
import {
  type VersionedTable,
  dropPartition,
  finishDetaching,
  partitionedRuns,
} from '../../database/versions.ts';
import { BATCH_TABLES, SNAPSHOT_TABLES, STORE_TABLES } from './store-tables.ts';

/** What a reader who holds on to an old table may cost a night; the rest is dropped by the next one. */
const PATIENCE = '5s';

export interface Dropped {
  partitions: number;
  /** Whether a reader held on for longer than our patience. */
  deferred: boolean;
}

/**
 * Drops what closed runs up to `run` left behind that were never published: failed, blocked, cancelled, terminated; and
 * what refits of runs before it have gone on from.
 * No reader's view has ever looked at it.
 */
export async function dropLeftovers(connection: Connection, run: number): Promise<void> {
  const { db } = connection;
  for (const table of [...BATCH_TABLES, ...STORE_TABLES]) {
    // Asked each time: an attempt that was given up for dead may wake when a run has been re-opened.
    const wanted = await wantedRuns(db);
    const { deferred } = await dropPartitions(connection, [table], (old) => old <= run && !wanted.has(old));
    if (deferred) break;
  }
  await dropImages(connection, run, [...(await wantedRuns(db))]);
  await db.deleteFrom('experiments.refit_starts').where('run', '<', run).execute();
  await db
    .deleteFrom('pipeline.checkpoints')
    .where('run', 'not in', (open) =>
      open.selectFrom('pipeline.runs').select('run').where('status', '=', 'running'),
    )
    .execute();
}

/**
 * Drops the images that none of the `wanted` runs has its snapshot in, and what belongs to snapshots that no image holds
 * any more. An image that a dead run has brought up to date stays, with what belongs to that run's snapshot: it is what
 * the next night follows.
 */
export async function dropImages(
  connection: Connection,
  run: number,
  wanted: number[],
  signal?: AbortSignal,
): Promise<Dropped> {
  const { db } = connection;
  const images = await imagesOf(db, wanted);
  const dropped = await dropPartitions(
    connection,
    ['silver.ratings'],
    (old) => old <= run && !images.includes(old) && !wanted.includes(old),
    signal,
  );
  const held = (await heldSnapshots(db)).map((one) => one.run);
  const rest = await dropPartitions(
    connection,
    SNAPSHOT_TABLES,
    (old) => old <= run && !held.includes(old) && !wanted.includes(old),
    signal,
  );
  return {
    partitions: dropped.partitions + rest.partitions,
    deferred: dropped.deferred || rest.deferred,
  };
}

/** Runs whose data are published or being made. */
async function wantedRuns(db: Db): Promise<Set<number>> {
  const published = await db
    .selectFrom('serving.versions')
    .select('run')
    .union(db.selectFrom('serving.pointer').select('data_run as run'))
    .execute();
  const live = await db.selectFrom('pipeline.runs').select('run').where('status', '=', 'running').execute();
  return new Set([...published, ...live].map((one) => one.run));
}

/** Drops the partitions of the runs that `doomed` says, until one takes longer than our patience. */
export function dropPartitions(
  connection: Connection,
  tables: readonly VersionedTable[],
  doomed: (run: number) => boolean,
  signal?: AbortSignal,
): Promise<Dropped> {
  let partitions = 0;
  return outsideTransaction(
    connection,
    async (db) => {
      await sql`select set_config('statement_timeout', ${PATIENCE}, false)`.execute(db);
      try {
        for (const table of tables) {
          // A parent takes one detachment at a time: one that was given up half-way would refuse every later one.
          await finishDetaching(db, table);
          for (const old of (await partitionedRuns(db, table)).filter(doomed)) {
            await dropPartition(db, table, old);
            partitions++;
          }
        }
        return { partitions, deferred: false };
      } catch (error) {
        const QUERY_CANCELED = '57014';
        if ((error as { code?: unknown }).code !== QUERY_CANCELED || signal?.aborted) throw error;
        return { partitions, deferred: true };
      } finally {
        await sql`reset statement_timeout`.execute(db).catch(() => undefined);
      }
    },
    { signal },
  );
}

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { outsideTransaction } from '../../database/session.ts';
import type { VersionedTable } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { dropPartitions } from './leftovers.ts';
import { DATA_TABLES, MODEL_TABLES, SNAPSHOT_TABLES } from './store-tables.ts';

export interface RetireResult extends StageResult {
  /** Runs whose versions are kept. */
  kept: number[];
  /** Whether partitions were left because a reader's transaction is older than the last publish. */
  deferred: boolean;
  note: string;
}

/**
 * Keeps the last model versions, the data and snapshot of the published night and this run's snapshot; drops everything else,
 * what dead runs left behind too. Whoever was deleted in the source is deleted in the kept versions.
 */
export function retireVersions(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<RetireResult> {
  return runStage(connection, { run, stage: 'retire-versions', signal }, async (attempt) => {
    const { settings, mayPublish } = await loadRun(connection.db, run);
    const kept = await attempt.write(async ({ db }) => {
      const versions = await keptVersions(db, settings.publishing.keepVersions);
      await markRetired(db, versions);
      // A backfill's snapshot lacks whoever came later: they are not deleted.
      if (mayPublish)
        await forgetDeleted(
          db,
          run,
          versions.filter((version) => version !== run),
        );
      return versions;
    });
    const deferred = await hasOlderReaders(connection.db);
    const pointer = await connection.db.selectFrom('serving.pointer').select('data_run').executeTakeFirst();
    const data = pointer === undefined ? [] : [pointer.data_run];
    const drop = async (tables: readonly VersionedTable[], wanted: number[]): Promise<number> => {
      // An attempt that was given up for dead and wakes here must not drop what its successors have built.
      await attempt.write(() => Promise.resolve());
      return outsideTransaction(
        connection,
        (db) => dropPartitions(db, tables, (old) => old <= run && !wanted.includes(old)),
        { signal },
      );
    };
    const dropped =
      (await drop(SNAPSHOT_TABLES, [run, ...data])) +
      (deferred ? 0 : (await drop(MODEL_TABLES, kept)) + (await drop(DATA_TABLES, data)));
    return attempt.finish(() =>
      Promise.resolve({
        rows: dropped,
        kept,
        deferred,
        note: deferred
          ? 'an old reader is still at work: the rest next night'
          : `${kept.length} versions kept`,
      }),
    );
  });
}

/** The last versions by their publishing, the one that is pointed to always among them. */
async function keptVersions(db: Db, keep: number): Promise<number[]> {
  const versions = await db
    .selectFrom('serving.versions as v')
    .leftJoin('serving.pointer as p', 'p.model_run', 'v.run')
    .where('v.retired_at', 'is', null)
    .orderBy(sql`p.model_run is null`)
    .orderBy('v.published_at', 'desc')
    .limit(keep)
    .select('v.run')
    .execute();
  return versions.map(({ run }) => run);
}

async function markRetired(db: Db, kept: number[]): Promise<void> {
  if (kept.length === 0) return;
  await db
    .updateTable('serving.versions')
    .set({ retired_at: sql`clock_timestamp()` })
    .where('retired_at', 'is', null)
    .where('run', 'not in', kept)
    .execute();
}

/** A user or movie that is gone from the snapshot is gone from every kept version and from kept metrics. */
async function forgetDeleted(db: Db, run: number, versions: number[]): Promise<void> {
  const gone = (id: 'user_id' | 'movie_id', ref: string) =>
    sql<boolean>`not exists (
      select from silver.ratings s where s.run = ${sql.lit(run)} and s.${sql.ref(id)} = ${sql.ref(ref)})`;
  const uncatalogued = sql<boolean>`not exists (
    select from silver.movies m where m.run = ${sql.lit(run)} and m.movie_id = doomed.movie_id)`;
  await db
    .deleteFrom('experiments.user_metrics as doomed')
    .where(gone('user_id', 'doomed.user_id'))
    .execute();
  if (versions.length === 0) return;
  for (const table of ['store.batch_recs', 'store.user_factors'] as const) {
    await sql`delete from ${sql.table(table)} as doomed
      where run in (${sql.join(versions)}) and ${gone('user_id', 'doomed.user_id')}`.execute(db);
  }
  for (const table of [
    'store.movies',
    'store.item_factors',
    'store.similar_movies',
    'store.batch_recs',
  ] as const) {
    await sql`delete from ${sql.table(table)} as doomed
      where run in (${sql.join(versions)}) and ${uncatalogued}`.execute(db);
  }
}

/**
 * Whether a transaction in this database is older than the last move of the pointer: under REPEATABLE READ it
 * still sees the version before, whose partitions must then stay.
 */
async function hasOlderReaders(db: Db): Promise<boolean> {
  const { rows } = await sql<{ older: boolean }>`
    select exists (
      select from pg_stat_activity a, serving.pointer p
      where a.datname = current_database() and a.pid <> pg_backend_pid()
        and a.backend_xmin is not null and a.xact_start < p.changed_at
    ) as older`.execute(db);
  return rows[0].older;
}

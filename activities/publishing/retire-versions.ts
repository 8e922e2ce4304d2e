import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { constantIds } from '../../database/constants.ts';
import { imagesOf, voidImages } from '../../database/snapshots.ts';
import type { VersionedTable } from '../../database/versions.ts';
import { forgetOldResults } from '../quality/forget-results.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { forgetAlerts } from '../monitoring/alerts.ts';
import { forgetPasses } from '../speed/forget.ts';
import { type Dropped, dropImages, dropPartitions } from './leftovers.ts';
import { forgetOldEvidence } from './old-evidence.ts';
import { lockPointer } from './pointer.ts';
import { BATCH_TABLES, DATA_TABLES, MODEL_TABLES } from './store-tables.ts';

export interface RetireResult extends StageResult {
  /** Runs whose versions are kept. */
  kept: number[];
  /** Whether partitions were left because a reader's transaction is older than the last publish. */
  deferred: boolean;
  note: string;
}

/**
 * Keeps the last model versions, the data and snapshot of the published night and this run's batch, snapshot and
 * features, from which one that is blocked can be gone on with; drops everything else, what dead runs left behind too. Whoever was deleted in the source is deleted in what is kept. A
 * reader who holds on to an old table puts off its end to the next night, and fails nothing.
 */
export function retireVersions(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<RetireResult> {
  return runStage(connection, { run, stage: 'retire-versions', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const { settings, mayPublish } = context;
    const { kept, data } = await attempt.write(async ({ db }) => {
      // A rollback takes its turn: to what is kept here, or before us, and then it is kept.
      await lockPointer(db);
      const versions = await keptVersions(db, settings.publishing.keepVersions);
      const pointer = await db.selectFrom('serving.pointer').select('data_run').executeTakeFirst();
      await markRetired(db, versions);
      return { kept: versions, data: pointer === undefined ? [] : [pointer.data_run] };
    });
    const forgetAll = (): Promise<void> =>
      attempt.write(async ({ db }) => {
        await forgetOldResults(db, context);
        await forgetAlerts(
          db,
          new Date(context.startedAt.getTime() - settings.retention.alertDays * DAY_MILLISECONDS),
        );
        await forgetOldEvidence(db, context, [run, ...kept, ...data]);
        // A backfill's snapshot lacks whoever came later: they are not deleted.
        if (mayPublish) await forgetDeleted(db, run, { versions: kept, published: data });
        await forgetPasses(db, context);
      });
    const drop = async (tables: readonly VersionedTable[], wanted: number[]): Promise<Dropped> => {
      // An attempt that was given up for dead and wakes here must not drop what its successors have built.
      await attempt.write(() => Promise.resolve());
      return dropPartitions(connection, tables, (old) => old <= run && !wanted.includes(old), signal);
    };
    // Of older batches nothing is forgotten row by row: they go meanwhile.
    const [batches] = await Promise.all([drop(BATCH_TABLES, [run]), forgetAll()]);
    const older = await hasOlderReaders(connection.db);
    const drops = [batches, await dropImages(connection, run, [run, ...data], signal)];
    if (!older) drops.push(await drop(MODEL_TABLES, kept), await drop(DATA_TABLES, [run, ...data]));
    const deferred = older || drops.some((one) => one.deferred);
    return attempt.finish(() =>
      Promise.resolve({
        rows: drops.reduce((sum, { partitions }) => sum + partitions, 0),
        kept,
        deferred,
        note: deferred
          ? 'an old reader is still at work: the rest next night'
          : `versions kept: ${kept.length}`,
      }),
    );
  });
}

const DAY_MILLISECONDS = 86_400_000;

/**
 * The versions that were served last, the one that is pointed to always among them. By their serving, not their
 * publishing: what was rolled back to has proved itself, and outlives what it replaced.
 */
async function keptVersions(db: Db, keep: number): Promise<number[]> {
  const versions = await db
    .selectFrom('serving.versions as v')
    .leftJoin('serving.pointer as p', 'p.model_run', 'v.run')
    .where('v.retired_at', 'is', null)
    .orderBy(sql`p.model_run is null`)
    .orderBy('v.served_at', 'desc')
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

/** What is gone from the source is gone from everything that older runs have left. */
async function forgetDeleted(
  db: Db,
  run: number,
  { versions, published }: { versions: number[]; published: number[] },
): Promise<void> {
  const noUser = sql<boolean>`not exists (
    select from gold.user_totals s where s.run = ${sql.lit(run)} and s.user_id = doomed.user_id)`;
  const noMovie = sql<boolean>`not exists (
    select from silver.movies m where m.run = ${sql.lit(run)} and m.movie_id = doomed.movie_id)`;
  const isOlder = (old: number): boolean => old !== run;
  await forgetInModels(db, versions.filter(isOlder), { noUser, noMovie });
  await forget(
    db,
    ['store.user_features', 'store.user_genre_preferences'],
    published.filter(isOlder),
    noUser,
  );
  await forgetPairs(db, run, published);
  await db.deleteFrom('experiments.user_metrics as doomed').where(noUser).execute();
  await db.deleteFrom('experiments.ab_test_users as doomed').where(noUser).execute();
}

/**
 * Lists and neighbours are of users and movies that their version has factors of. The few users' lists are found by their key,
 * and mostly no movie has gone: a pass over millions of rows would find no more.
 */
async function forgetInModels(
  db: Db,
  runs: number[],
  { noUser, noMovie }: Record<'noUser' | 'noMovie', RawBuilder<boolean>>,
): Promise<void> {
  if (runs.length === 0) return;
  const gone = (table: VersionedTable, id: string, condition: RawBuilder<boolean>): Promise<string> =>
    constantIds(
      db,
      sql`
        select distinct ${sql.ref(id)} from ${sql.table(table)} as doomed
        where run in (${sql.join(runs)}) and ${condition}`,
      'integer',
    );
  const users = await gone('store.user_factors', 'user_id', noUser);
  const movies = await gone('store.item_factors', 'movie_id', noMovie);
  const isOneOf = (column: string, ids: string) =>
    sql<boolean>`(cardinality(${sql.raw(ids)}) > 0 and ${sql.ref(`doomed.${column}`)} = any(${sql.raw(ids)}))`;
  await forget(db, ['store.user_factors', 'store.batch_recs'], runs, isOneOf('user_id', users));
  await forget(db, ['store.movies'], runs, noMovie);
  await forget(db, ['store.item_factors', 'store.batch_recs'], runs, isOneOf('movie_id', movies));
  const ofGoneMovies = sql<boolean>`(${isOneOf('movie_id', movies)} or ${isOneOf('similar_movie_id', movies)})`;
  await forget(db, ['store.similar_movies'], runs, ofGoneMovies);
}

/** Deletes what fulfils a condition on `doomed`, and counts it off what the versions are known to have. */
async function forget(
  db: Db,
  tables: readonly VersionedTable[],
  runs: number[],
  condition: RawBuilder<boolean>,
): Promise<void> {
  if (runs.length === 0) return;
  for (const table of tables) {
    await sql`
      with gone as (
        delete from ${sql.table(table)} as doomed where run in (${sql.join(runs)}) and ${condition} returning run
      )
      update serving.version_rows v set rows = v.rows - g.rows
      from (select run, count(*) as rows from gone group by run) g
      where v.run = g.run and v.table_name = ${table}`.execute(db);
  }
}

/** An older image, of a published night that this one has not followed, loses who has left it; then no night can follow one in it. */
async function forgetPairs(db: Db, run: number, published: number[]): Promise<void> {
  const [own] = await imagesOf(db, [run]);
  for (const image of (await imagesOf(db, published)).filter((other) => other !== own)) {
    const { numAffectedRows: gone } = await sql`
      delete from silver.ratings doomed
      where image = ${sql.lit(image)} and not exists (
        select from silver.ratings s
        where s.image = ${sql.lit(own)} and s.user_id = doomed.user_id and s.movie_id = doomed.movie_id)`.execute(
      db,
    );
    if (gone !== 0n) await voidImages(db, [image]);
  }
}

/**
 * Whether a snapshot in this database is older than the last move of the pointer: under REPEATABLE READ its reader
 * still sees the version before, whose partitions must then stay. By transaction ids, which are there to see for every
 * role and leave no gap before the commit; another old transaction only puts the end off. Autovacuum reads no version.
 */
async function hasOlderReaders(db: Db): Promise<boolean> {
  const { rows } = await sql<{ older: boolean }>`
    select exists (
      select from pg_stat_activity a, serving.pointer p
      where a.datname = current_database() and a.pid <> pg_backend_pid()
        and a.backend_type is distinct from 'autovacuum worker'
        and a.backend_xmin is not null and age(a.backend_xmin) >= age(p.xmin)
    ) as older`.execute(db);
  return rows[0].older;
}

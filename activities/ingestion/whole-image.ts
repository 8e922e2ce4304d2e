/** An image built in full, in parts by user that are written and indexed side by side. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { type Session, setLocal } from '../../database/session.ts';
import {
  LEFT_ALONE,
  attachPartition,
  constrainAs,
  createDetachedPartition,
  createPartitionAs,
  partitionName,
  rowsOf,
} from '../../database/versions.ts';
import type { StageAttempt } from '../support/stage.ts';
import { catalogue } from './catalogue.ts';
import { accepted, latestFirst, refused } from './classified.ts';

/** Two parts keep two processors busy. */
const PARTS = 2;

/** Below this one part is written before a second connection has begun. */
const LEAST_FOR_PARTS = 500_000;

/** Sorts the pairs of 12 million ratings in memory; PostgreSQL's 64 MB would go over the disk four times. */
const INDEX_MEMORY = '512MB';

/** Key under which the parts' bounds are kept: a retry must cut in the same places. */
const PLAN = 'parts';

/** A part of an image: users from `from`, below `to`. */
interface Part {
  table: string;
  from: number | null;
  to: number | null;
}

/**
 * Builds the image of the run, all but what shows it: `showImage`.
 * @param given.allAccepted whether silver is known to take every row of the batch
 */
export async function buildWhole(
  attempt: StageAttempt,
  given: { asOf: Date; allAccepted: boolean },
): Promise<void> {
  const parts = await prepare(attempt);
  const finished = await attempt.finishedChunks();
  const batch = { run: attempt.run, ...given };
  await Promise.all(
    parts
      .filter(({ table }) => !finished.has(table))
      .map((part) => attempt.writeChunk(part.table, (session) => writePart(session, batch, part))),
  );
}

/** Puts what was refused into quarantine, and shows the image, whose parts are written. */
export async function showImage(db: Db, attempt: StageAttempt, asOf: Date): Promise<void> {
  const { run } = attempt;
  const quarantine = (await nothingRefused(db, attempt))
    ? sql`${refused(run, asOf)} and false`
    : refused(run, asOf);
  await createPartitionAs(db, 'silver.rejected_ratings', run, quarantine);
  await attachPartition(db, 'silver.superseded_ratings', run);
  const image = sql.table(partitionName('silver.ratings', run));
  const parts = toParts(run, await plannedBounds(attempt, db));
  await sql`alter table silver.ratings attach partition ${image} for values in (${sql.lit(run)})`.execute(db);
  for (const { table } of parts) {
    // Autovacuum is to clear away what nights replace, not to read and write all that is new in the middle of one.
    await sql`
      alter table ${sql.table(table)} drop constraint of_users, drop constraint of_image,
        reset (autovacuum_enabled), set (autovacuum_vacuum_insert_threshold = -1)`.execute(db);
  }
  // The planner needs the number of rows and of users; a sample of 30,000 rows of each part takes three seconds.
  await setLocal(db, { default_statistics_target: '10' });
  await sql`analyze ${image}`.execute(db);
}

/** What all parts need, and where they are cut. */
async function prepare(attempt: StageAttempt): Promise<Part[]> {
  const { run } = attempt;
  const planned = await plannedBounds(attempt).catch(() => null);
  if (planned !== null) return toParts(run, planned);
  const bounds = await attempt.write(async ({ db }) => {
    await createPartitionAs(db, 'silver.movies', run, catalogue(db, run));
    await createDetachedPartition(db, 'silver.superseded_ratings', run);
    await sql`
      create table ${sql.table(partitionName('silver.ratings', run))}
      (like silver.ratings including constraints) partition by range (user_id)`.execute(db);
    const chosen = await chooseBounds(db, run);
    await db
      .insertInto('pipeline.chunks')
      .values({ run, stage: attempt.stage, chunk: [PLAN, ...chosen].join(' '), rows: 0 })
      .execute();
    return chosen;
  });
  return toParts(run, bounds);
}

async function plannedBounds(attempt: StageAttempt, db?: Db): Promise<number[]> {
  const planned = [...(await attempt.finishedChunks(db)).keys()].find((name) => name.startsWith(PLAN));
  if (planned === undefined) throw new Error(`run ${attempt.run}: stage silver has not cut its parts`);
  return planned.split(' ').slice(1).map(Number);
}

/** Users at which parts of about equal numbers of ratings begin, by a sample of a hundredth of the pages. */
async function chooseBounds(db: Db, run: number): Promise<number[]> {
  const { ratings } = await db
    .selectFrom('bronze.batches')
    .select('ratings')
    .where('_batch_id', '=', run)
    .executeTakeFirstOrThrow();
  if (ratings < LEAST_FOR_PARTS) return [];
  const { rows } = await sql<{ bounds: number[] | null }>`
    select percentile_disc(array[${sql.join(Array.from({ length: PARTS - 1 }, (_, at) => sql.lit((at + 1) / PARTS)))}]::float8[])
             within group (order by user_id)::text[]::integer[] as bounds
    from ${rowsOf('bronze.ratings', run)} tablesample system (1) repeatable (0)
    where user_id between -2147483648 and 2147483647`.execute(db);
  return [...new Set(rows[0].bounds ?? [])];
}

function toParts(run: number, bounds: number[]): Part[] {
  return Array.from({ length: bounds.length + 1 }, (_, at) => ({
    table: `${partitionName('silver.ratings', run)}_part${at}`,
    from: at === 0 ? null : bounds[at - 1],
    to: at === bounds.length ? null : bounds[at],
  }));
}

/**
 * Writes and indexes a part in one transaction: a table that is made in it needs no WAL under `wal_level=minimal`. The
 * unique index is built on all accepted rows; only where it finds a pair twice are the pairs looked at.
 */
async function writePart(
  { db, client }: Session,
  { run, asOf, allAccepted }: { run: number; asOf: Date; allAccepted: boolean },
  part: Part,
): Promise<number> {
  const table = sql.table(part.table);
  const ofUsers = sql.raw(
    [
      ...(part.from === null ? [] : [`user_id >= ${part.from}`]),
      ...(part.to === null ? [] : [`user_id < ${part.to}`]),
    ].join(' and ') || 'true',
  );
  // Constraints are checked when all rows are there, which takes half as long as row by row. Autovacuum would hold up what shows
  // the part, and comes after it.
  const { rowCount } = await client.query(
    sql`
      create table ${table} ${LEFT_ALONE} as
      select ${sql.lit(run)} as image, user_id, movie_id, rating, rating_timestamp
      from (${accepted(run, asOf, allAccepted)}) a where ${ofUsers}`.compile(db).sql,
  );
  await constrainAs(db, 'silver.ratings', part.table, {
    of_image: sql`image = ${sql.lit(run)}`,
    of_users: ofUsers,
  });
  // The other part is the other process.
  await setLocal(db, { maintenance_work_mem: INDEX_MEMORY, max_parallel_maintenance_workers: '0' });
  await indexPairs(db, run, table);
  // Last, because it holds the other part's attachment up. The constraint spares it a scan.
  await sql`
    alter table ${sql.table(partitionName('silver.ratings', run))} attach partition ${table}
    for values from (${part.from === null ? sql`minvalue` : sql.lit(part.from)})
    to (${part.to === null ? sql`maxvalue` : sql.lit(part.to)})`.execute(db);
  return rowCount ?? 0;
}

const UNIQUE_VIOLATION = '23505';

/** Where a pair is there twice, the ratings that a later one has replaced are set aside first. */
async function indexPairs(db: Db, run: number, table: RawBuilder<unknown>): Promise<void> {
  const index = sql`create unique index on ${table} (user_id, movie_id)`;
  await sql`savepoint before_index`.execute(db);
  try {
    await index.execute(db);
    return;
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error;
    await sql`rollback to savepoint before_index`.execute(db);
  }
  await sql`
    with superseded as (
      delete from ${table} doomed using (
        select ctid as place, row_number() over (partition by user_id, movie_id order by ${latestFirst}) as nth
        from ${table}
      ) ranked
      where doomed.ctid = ranked.place and ranked.nth > 1
      returning doomed.user_id, doomed.movie_id, doomed.rating, doomed.rating_timestamp
    )
    insert into ${sql.table(partitionName('silver.superseded_ratings', run))}
      (_batch_id, user_id, movie_id, rating, rating_timestamp)
    select ${sql.lit(run)}, * from superseded`.execute(db);
  await index.execute(db);
}

/** How many rows the parts have: what was written, less what was superseded. */
export async function countImage(db: Db, attempt: StageAttempt): Promise<number> {
  const { rows } = await sql<{ superseded: number }>`
    select count(*) as superseded
    from ${sql.table(partitionName('silver.superseded_ratings', attempt.run))}`.execute(db);
  return (await countAccepted(db, attempt)) - rows[0].superseded;
}

async function countAccepted(db: Db, attempt: StageAttempt): Promise<number> {
  return [...(await attempt.finishedChunks(db)).values()].reduce((sum, rows) => sum + rows, 0);
}

/** Whether all rows of the batch have been accepted: then the quarantine is empty, and nobody need look for it. */
async function nothingRefused(db: Db, attempt: StageAttempt): Promise<boolean> {
  const { ratings } = await db
    .selectFrom('bronze.batches')
    .select('ratings')
    .where('_batch_id', '=', attempt.run)
    .executeTakeFirstOrThrow();
  return (await countAccepted(db, attempt)) === ratings;
}

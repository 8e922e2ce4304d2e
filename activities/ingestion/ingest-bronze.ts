import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { type Session, setLocal } from '../../database/session.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { attachPartition, createDetachedPartition, partitionName } from '../../database/versions.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageAttempt, type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { MOVIE_COLUMNS, moviesOfSource } from './batch.ts';
import {
  addAffectedUsers,
  addChangedUsers,
  countChanged,
  findChangedUsers,
  keepFingerprints,
  readChangedUsers,
} from './changes.ts';
import { planChunks } from './chunks.ts';
import { fingerprints } from './fingerprints.ts';
import { snapshotToFollow } from './follow.ts';
import { forgetBatch, isLost } from './lost-batch.ts';
import { type SourceReader, withSource } from './source-reader.ts';
import { prepareChunked, readChunk } from './whole-batch.ts';

export interface BronzeResult extends StageResult {
  movies: number;
  /** The run whose snapshot the batch changes; null where it is the whole source. */
  follows: number | null;
  note: string;
}

/** Two readers keep two PostgreSQL processes busy; more only queue on two cores. */
const READERS = 2;

/**
 * Reads into the run's batch what has changed in the source since an earlier snapshot: all rows of every user whose
 * rows are not those that the snapshot was made of. Where there is none to follow, or much has changed, the whole source,
 * chunk by chunk; a retry resumes at the chunks that are missing.
 */
export function ingestBronze(
  dependencies: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<BronzeResult> {
  const { connection } = dependencies;
  return runStage(connection, { run, stage: 'bronze', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const follows = await snapshotToFollow(connection.db, context);
    await attempt.write(async ({ db }) => {
      if ((await isLost(db, run)) || (await followedAnother(attempt, db, follows)))
        await forgetBatch(db, run);
      for (const table of ['bronze.ratings', 'bronze.movies', 'bronze.changed_users'] as const)
        await createDetachedPartition(db, table, run);
    });
    if (follows !== null) {
      report({ step: `looking for changes since run ${follows.run}` });
      const changed = await withSource(dependencies, signal, (reader) =>
        readChanges(attempt, reader, context, follows),
      );
      if (changed !== null) return finishChanges(attempt, follows, changed);
    }
    const resumed = await withSource(dependencies, signal, (reader) =>
      readWhole(attempt, reader, context, report),
    );
    // What an earlier attempt has read is the source of another moment.
    if (resumed) {
      report({ step: 'comparing with the source' });
      await withSource(dependencies, signal, (reader) =>
        attempt.write((session) => mend(session, reader, context), reader.view),
      );
    }
    return finishWhole(attempt, resumed);
  });
}

/** Prefix of the chunk that holds all changes since a snapshot. */
const CHANGES = 'changes since run';

const changesSince = (run: number): string => `${CHANGES} ${run}`;

/** Whether an earlier attempt has read changes since a snapshot that is followed no more: of code with other rules, or gone. */
async function followedAnother(
  attempt: StageAttempt,
  db: Db,
  follows: HeldSnapshot | null,
): Promise<boolean> {
  const read = [...(await attempt.finishedChunks(db)).keys()].find((chunk) => chunk.startsWith(CHANGES));
  return read !== undefined && (follows === null || read !== changesSince(follows.run));
}

/** @returns the number of users that have changed; null where the whole source is to be read */
async function readChanges(
  attempt: StageAttempt,
  reader: SourceReader,
  context: Run,
  follows: HeldSnapshot,
): Promise<number | null> {
  const { run, stage } = attempt;
  const chunk = changesSince(follows.run);
  const finished = await attempt.finishedChunks();
  const known = finished.get(chunk);
  if (known !== undefined) return known;
  // An attempt before this one has found that the whole is to be read.
  if (finished.size > 0) return null;
  return attempt.write(async (session) => {
    const movies = await readMovies(session, reader, context);
    const before = sql`(
      select user_id, ratings, checksum from bronze.fingerprints where _batch_id = ${sql.lit(follows.run)})`;
    await findChangedUsers(session, reader, context, before);
    await addAffectedUsers(session, context, follows);
    const changed = await countChanged(session, context);
    if (changed === null) {
      for (const table of ['bronze.movies', 'bronze.changed_users'] as const)
        await sql`delete from ${sql.table(partitionName(table, run))}`.execute(session.db);
      return null;
    }
    const rows = await readChangedUsers(session, reader, context);
    await keepFingerprints(session, context, follows);
    await session.db
      .insertInto('pipeline.chunks')
      .values([
        { run, stage, chunk: MOVIES, rows: movies },
        { run, stage, chunk, rows: changed },
        { run, stage, chunk: `rows of ${chunk}`, rows },
      ])
      .execute();
    return changed;
  }, reader.view);
}

function finishChanges(attempt: StageAttempt, follows: HeldSnapshot, changed: number): Promise<BronzeResult> {
  return attempt.finish(async ({ db }) => {
    await attachBatch(db, attempt.run, true);
    await attachPartition(db, 'bronze.fingerprints', attempt.run);
    const batch = { follows: follows.run, changed_users: changed };
    const counted = await keepBatch(db, attempt, batch, false);
    return {
      ...counted,
      follows: follows.run,
      note: `${changed.toLocaleString('en')} users changed since run ${follows.run}`,
    };
  });
}

/** Key of the chunk of movies. */
const MOVIES = 'movies';

function readMovies(session: Session, reader: SourceReader, context: Run): Promise<number> {
  const batch = partitionName('bronze.movies', context.run);
  return reader.append(session, batch, MOVIE_COLUMNS, moviesOfSource(context));
}

/** @returns whether some chunks were there from an earlier attempt */
async function readWhole(
  attempt: StageAttempt,
  reader: SourceReader,
  context: Run,
  report: Heartbeat['report'],
): Promise<boolean> {
  await attempt.write((session) => prepareChunked(session, context.run));
  const chunks = await planChunks(attempt, reader);
  const finished = await attempt.finishedChunks();
  const waiting = chunks.filter(({ name }) => !finished.has(name));
  const resumed = waiting.length < chunks.length;
  if (!finished.has(MOVIES))
    await attempt.writeChunk(MOVIES, (session) => readMovies(session, reader, context), reader.view);
  const read = async (): Promise<void> => {
    for (let chunk = waiting.shift(); chunk !== undefined; chunk = waiting.shift()) {
      const { name } = chunk;
      await attempt.writeChunk(name, (session) => readChunk(session, reader, context, chunk), reader.view);
      const done = chunks.length - waiting.length;
      report({ step: 'reading the source, chunk', done, total: chunks.length });
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  return resumed;
}

/** Reads again whoever is not as the source has them now: a batch of several moments becomes one of this moment. */
async function mend(session: Session, reader: SourceReader, context: Run): Promise<void> {
  const batch = sql.table(partitionName('bronze.ratings', context.run));
  const changed = sql.table(partitionName('bronze.changed_users', context.run));
  const before = sql`(${fingerprints(sql`${batch} where true`)})`;
  await findChangedUsers(session, reader, context, before);
  await sql`
    delete from ${batch} where user_id is null or user_id in (select user_id from ${changed})`.execute(
    session.db,
  );
  await addChangedUsers(session, reader, context);
  await sql`delete from ${changed}`.execute(session.db);
}

function finishWhole(attempt: StageAttempt, mended: boolean): Promise<BronzeResult> {
  return attempt.finish(async ({ db }) => {
    // Of the whole source every stage reads every row, which no plan can spare.
    await attachBatch(db, attempt.run, false);
    const counted = await keepBatch(db, attempt, { follows: null, changed_users: null }, !mended);
    return { ...counted, follows: null, note: 'the whole source' };
  });
}

async function attachBatch(db: Db, run: number, analysed: boolean): Promise<void> {
  // Every stage reads a batch as a whole: a small sample tells enough of it.
  await setLocal(db, { default_statistics_target: '10' });
  await attachPartition(db, 'bronze.ratings', run, analysed);
  for (const table of ['bronze.movies', 'bronze.changed_users'] as const)
    await attachPartition(db, table, run);
}

async function countBatch(db: Db, run: number): Promise<number> {
  const { rows } = await db
    .selectFrom('bronze.ratings')
    .where('_batch_id', '=', sql.lit(run))
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  return rows;
}

/** @param byChunks whether the batch is what its chunks have read, no more and no less */
async function keepBatch(
  db: Db,
  attempt: StageAttempt,
  batch: { follows: number | null; changed_users: number | null },
  byChunks: boolean,
): Promise<{ rows: number; movies: number }> {
  const chunks = await attempt.finishedChunks(db);
  const movies = chunks.get(MOVIES) ?? 0;
  const rows = byChunks
    ? [...chunks.values()].reduce((sum, count) => sum + count, 0) - movies
    : await countBatch(db, attempt.run);
  await db
    .insertInto('bronze.batches')
    .values({ _batch_id: attempt.run, ratings: rows, movies, ...batch })
    .execute();
  return { rows, movies };
}

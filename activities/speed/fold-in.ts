import { sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import { blockedAt } from '../../database/block-list.ts';
import type { Db } from '../../database/connect.ts';
import { encodeFactorRows, readFixedColumns } from '../../database/copy-binary.ts';
import { copyIn, copyOut } from '../../database/copy.ts';
import { type Session, transaction } from '../../database/session.ts';
import { type Model, type RatingTriples, foldInUsers, recommendFolded } from '../../recommender/index.ts';
import { loadItems } from '../publishing/load-model.ts';
import { copyLists } from '../publishing/write-lists.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { terminalFailure } from '../support/failures.ts';
import type { StageResult } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { dropHandedOver, ratingsTable } from './handed-over.ts';
import { replaceOverlay } from './overlay.ts';

export interface FoldInInput {
  pass: number;
}

export interface FoldInResult extends StageResult {
  note: string;
}

/** What is held in memory at a time: 12 MB of ratings, and the lists of whoever they are of. */
const RATINGS_PER_CHUNK = 1_000_000;

/**
 * Folds the changed users of a pass into the served version: their factors solved again against its item factors, and
 * their lists by the rules of a night. The overlay is replaced as a whole, in one transaction.
 */
export async function foldInPass(
  dependencies: ActivityDependencies,
  { pass }: FoldInInput,
  heartbeat: Heartbeat,
): Promise<FoldInResult> {
  const { connection } = dependencies;
  const work = await loadPass(connection.db, pass);
  if (work.done !== null) return work.done;
  const superseded = await supersededBy(connection.db, work);
  const result = await (
    superseded === null ? foldIn(dependencies, work, heartbeat) : Promise.reject(new Superseded(superseded))
  ).catch((error: unknown) => {
    if (!(error instanceof Superseded)) throw error;
    return finishPass(connection.db, pass, 0, error.message);
  });
  await dropHandedOver(connection, pass + 1);
  return result;
}

type Work = Awaited<ReturnType<typeof loadPass>>;

/** @throws Superseded where the overlay, once it was made, is none of now: it is undone */
async function foldIn(
  { connection, threads }: ActivityDependencies,
  work: Work,
  { signal, report }: Heartbeat,
): Promise<FoldInResult> {
  const { pass, modelRun, asOf, settings } = work;
  const model = await loadItems(connection, modelRun, signal);
  const popular = model.configuration.family === 'popular';
  return transaction(
    connection,
    async (session) => {
      const { db } = session;
      await prepareTables(db);
      const chunks = popular ? [] : await planChunks(db, pass);
      const allowed = await listable(session, settings.minimumRatings, asOf);
      for (const [at, chunk] of chunks.entries()) {
        report({ step: 'folding users in, chunk', done: at, total: chunks.length });
        await foldChunk(session, model, { pass, chunk, allowed, settings, threads, signal });
      }
      // Whoever else works for this pass waits here, and finds it done.
      const { done } = await loadPass(db, pass, 'for update');
      if (done !== null) return done;
      const folded = await replaceOverlay(db, { modelRun, asOf, ratings: ratingsTable(pass) });
      const superseded = await supersededBy(db, work, 'for share');
      if (superseded !== null) throw new Superseded(superseded);
      return finishPass(
        db,
        pass,
        folded,
        popular ? POPULAR : `${folded.toLocaleString('en')} users folded in`,
      );
    },
    { signal },
  );
}

const POPULAR = 'popular has no factors: nobody to fold in';

/** Something newer is there or served: what it would fold in is the next pass's. */
class Superseded extends Error {}

async function loadPass(db: Db, pass: number, lock?: 'for update') {
  const row = await db
    .selectFrom('speed.passes')
    .selectAll()
    .where('pass', '=', pass)
    .$if(lock !== undefined, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined)
    throw terminalFailure('InvalidRequest', `pass ${pass} of the speed layer is not in its ledger`);
  const done: FoldInResult | null =
    row.folded_at === null ? null : { rows: row.folded_users ?? 0, note: row.note ?? '' };
  const settings = (row.settings as Pick<Settings, 'recommendations'>).recommendations;
  return { pass, done, modelRun: row.model_run, asOf: row.as_of, settings };
}

/** Why the overlay of a pass would be none of now; null where it would. `lock` keeps it so to the transaction's end. */
async function supersededBy(
  db: Db,
  { pass, modelRun }: Pick<Work, 'pass' | 'modelRun'>,
  lock?: 'for share',
): Promise<string | null> {
  const latest = await db
    .selectFrom('speed.latest')
    .select('pass')
    .$if(lock !== undefined, (query) => query.forShare())
    .executeTakeFirst();
  if (latest?.pass !== pass) return `pass ${latest?.pass ?? 'none'} is newer: it folds them in`;
  const pointer = await db
    .selectFrom('serving.pointer')
    .select('model_run')
    .$if(lock !== undefined, (query) => query.forShare())
    .executeTakeFirstOrThrow();
  return pointer.model_run === modelRun
    ? null
    : `the version of run ${pointer.model_run} is served by now: the next pass folds into that`;
}

async function finishPass(db: Db, pass: number, folded: number, note: string): Promise<FoldInResult> {
  await db
    .updateTable('speed.passes')
    .set({ folded_users: folded, folded_at: sql`clock_timestamp()`, note })
    .where('pass', '=', pass)
    .where('folded_at', 'is', null)
    .execute();
  return { rows: folded, note };
}

interface Chunk {
  first: number;
  last: number;
  ratings: number;
}

/** Users in order, cut where enough ratings have come together. */
async function planChunks(db: Db, pass: number): Promise<Chunk[]> {
  const { rows } = await sql<Chunk>`
    select min(user_id) as first, max(user_id) as last, sum(ratings)::integer as ratings
    from (
      select user_id, count(*) as ratings,
             floor((sum(count(*)) over (order by user_id) - count(*)) / ${sql.lit(RATINGS_PER_CHUNK)}) as part
      from ${sql.table(ratingsTable(pass))} group by user_id
    ) users
    group by part order by part`.execute(db);
  return rows;
}

async function prepareTables(db: Db): Promise<void> {
  await sql`create temporary table folded (run integer, user_id integer, factors real[]) on commit drop`.execute(
    db,
  );
  await sql`
    create temporary table listed (run integer, user_id integer, rank smallint, movie_id integer, predicted_score float8)
    on commit drop`.execute(db);
}

/** Movies that may stand in a list now, as in a night's: rated often enough, and not blocked. */
async function listable(
  { db, client }: Session,
  minimumRatings: number,
  asOf: Date,
): Promise<ReadonlySet<number>> {
  const movies = sql`
    select movie_id from speed.movie_stats
    where total_ratings >= ${sql.lit(minimumRatings)} and movie_id not in ${blockedAt(asOf)}`;
  const { rows } = await sql<{ rows: number }>`select count(*) as rows from (${movies}) m`.execute(db);
  const ids = new Int32Array(rows[0].rows);
  if (ids.length > 0)
    await readFixedColumns(copyOut(client, movies.compile(db).sql), { columns: [ids], filled: 0 });
  return new Set(ids);
}

async function foldChunk(
  session: Session,
  model: Model,
  given: {
    pass: number;
    chunk: Chunk;
    allowed: ReadonlySet<number>;
    settings: Settings['recommendations'];
    threads: number;
    signal: AbortSignal;
  },
): Promise<void> {
  const { settings, allowed, threads, signal } = given;
  const ratings = await readChunk(session, given.pass, given.chunk);
  const rows = await foldInUsers(model, ratings, { threads, signal });
  if (rows.ids.length === 0) return;
  const lists = await recommendFolded(model, rows, ratings, {
    n: settings.perUser,
    excludeRated: settings.excludeRated,
    allowed,
    threads,
    signal,
  });
  const target = { table: 'folded', columns: ['run', 'user_id', 'factors'], options: 'format binary' };
  await copyIn(session.client, target, encodeFactorRows(0, rows.ids, rows.factors, model.rank));
  await copyLists(
    session,
    0,
    { table: 'listed', columns: ['user_id', 'movie_id', 'predicted_score'] },
    lists,
  );
}

/** In order of user and movie. */
async function readChunk({ client }: Session, pass: number, chunk: Chunk): Promise<RatingTriples> {
  const ratings = {
    users: new Int32Array(chunk.ratings),
    items: new Int32Array(chunk.ratings),
    ratings: new Float32Array(chunk.ratings),
  };
  const query = `select user_id, movie_id, rating from ${ratingsTable(pass)}
    where user_id between ${chunk.first} and ${chunk.last} order by user_id, movie_id`;
  await readFixedColumns(copyOut(client, query), {
    columns: [ratings.users, ratings.items, ratings.ratings],
    filled: 0,
  });
  return ratings;
}

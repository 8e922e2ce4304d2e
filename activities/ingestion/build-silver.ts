import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { databaseId } from '../../database/readers.ts';
import { type HeldSnapshot, heldSnapshots } from '../../database/snapshots.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import type { RatingColumns } from '../../recommender/index.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageAttempt, type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { imageKey } from '../training/kept-input.ts';
import { bringUpToDate } from './changed-image.ts';
import { countRead } from './count-read.ts';
import { SILVER_RULES } from './refusal-reason.ts';
import { keepTotals, keepTotalsAfter, ratingCountsAfter, sumImage } from './totals.ts';
import { buildWhole, countImage, showImage } from './whole-image.ts';

export interface SilverResult extends StageResult {
  bronze: number;
  rejected: number;
  /** Of the rejected: later than the as-of, counted by no gate. */
  afterAsOf: number;
  superseded: number;
  users: number;
  movies: number;
  note: string;
}

/**
 * The snapshot of a run: one row per (user, movie), the latest rating; what is refused and what is superseded is kept
 * too. Built in full from a batch of the whole source, else by bringing the image that it follows up to date: one
 * transaction, so that the image holds the snapshot of before or of after, whatever happens.
 */
export function buildSilver(
  dependencies: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<SilverResult> {
  const { connection } = dependencies;
  return runStage(connection, { run, stage: 'silver', signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const batch = await readBatch(connection.db, run);
    const follows = await followed(connection.db, run, batch.follows);
    if (follows === null) return buildImage(dependencies, attempt, { ...context, batch }, report);
    report({ step: 'bringing the snapshot up to date' });
    return attempt.finish(async ({ db }) => {
      await bringUpToDate(db, run, context.asOf, follows);
      await keepTotalsAfter(db, run, follows.image, follows.run);
      const counts = await ratingCountsAfter(db, run, follows.run);
      return keepSnapshot(db, context, { image: follows.image, bronze: await countRead(db, run), counts });
    });
  });
}

/** Leaves the image's ratings for the split, where that is this process's too. */
async function buildImage(
  { connection, inputs }: ActivityDependencies,
  attempt: StageAttempt,
  { batch, ...context }: Run & { batch: Batch },
  report: Heartbeat['report'],
): Promise<SilverResult> {
  const { run, signal } = attempt;
  const key = imageKey(await databaseId(connection.db), run, attempt.token);
  // What the last night has left, so that its memory serves for this one's.
  inputs.forget();
  report({ step: 'building the snapshot' });
  await buildWhole(attempt, { asOf: context.asOf, allAccepted: batch.all_accepted === true });
  report({ step: 'totals' });
  const read: { columns: RatingColumns | null } = { columns: null };
  try {
    const result = await attempt.finish(async (session) => {
      const { db } = session;
      const rows = await countImage(db, attempt);
      // First: others cannot read a part that is being shown.
      const { columns, ratingCounts } = await sumImage(connection, session, { run, rows }, signal);
      read.columns = columns;
      await showImage(db, attempt, context.asOf);
      await keepTotals(db, run);
      // The gate counts the batch itself.
      return keepSnapshot(db, context, { image: run, bronze: batch.ratings, counts: ratingCounts });
    });
    if (read.columns !== null) inputs.leaveColumns(key, read.columns);
    return result;
  } catch (error) {
    read.columns?.release();
    throw error;
  }
}

type Batch = Awaited<ReturnType<typeof readBatch>>;

function readBatch(db: Db, run: number) {
  return db
    .selectFrom('bronze.batches')
    .select(['follows', 'ratings', 'all_accepted'])
    .where('_batch_id', '=', run)
    .executeTakeFirstOrThrow();
}

/**
 * The snapshot that the run's batch changes; null where it is the whole source.
 * @throws where it is not there as it was
 */
async function followed(db: Db, run: number, follows: number | null): Promise<HeldSnapshot | null> {
  if (follows === null) return null;
  const held = (await heldSnapshots(db)).find((one) => one.run === follows);
  if (held === undefined)
    throw new Error(
      `run ${run}, silver: the snapshot of run ${follows}, which its batch follows, is gone; start a new night with --full`,
    );
  return held;
}

async function keepSnapshot(
  db: Db,
  { run, asOf }: Run,
  { image, bronze, counts }: { image: number; bronze: number; counts: RatingCounts | null },
): Promise<SilverResult> {
  const { rows } = await sql<
    Record<'silver' | 'users' | 'ratedMovies' | 'movies' | 'superseded', number> & {
      newest: Date | null;
    } & Record<'rejected' | 'afterAsOf', number>
  >`
    select coalesce(u.ratings, 0) as silver, u.users, u.newest, m."ratedMovies", r.rejected, r."afterAsOf",
           (select count(*) from silver.superseded_ratings where _batch_id = ${sql.lit(run)}) as superseded,
           (select count(*) from silver.movies where run = ${sql.lit(run)}) as movies
    from (
      select sum(ratings) as ratings, count(*) as users, max(last_at) as newest
      from gold.user_totals where run = ${sql.lit(run)}
    ) u, (
      select count(*) as "ratedMovies" from gold.movie_totals where run = ${sql.lit(run)}
    ) m, (
      select count(*) as rejected, count(*) filter (where reason = 'after_as_of') as "afterAsOf"
      from silver.rejected_ratings where _batch_id = ${sql.lit(run)}
    ) r`.execute(db);
  const [{ silver, users, ratedMovies, newest, rejected, afterAsOf, superseded, movies }] = rows;
  await db
    .insertInto('silver.snapshots')
    .values({
      run,
      image,
      rules: SILVER_RULES,
      as_of: asOf,
      bronze_ratings: bronze,
      silver_ratings: silver,
      rejected_ratings: rejected,
      after_as_of: afterAsOf,
      superseded_ratings: superseded,
      users,
      rated_movies: ratedMovies,
      movies,
      newest_rating_at: newest,
      rating_counts: counts === null ? null : JSON.stringify(counts),
    })
    .execute();
  const note = `${rejected} refused, ${superseded} superseded`;
  return { rows: silver, bronze, rejected, afterAsOf, superseded, users, movies, note };
}

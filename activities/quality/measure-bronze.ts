import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { rowsOf } from '../../database/versions.ts';
import { constantIds, instant } from '../../database/constants.ts';
import { isAcceptedIn, isCatalogued, refusalReason } from '../ingestion/refusal-reason.ts';
import { countRead } from '../ingestion/count-read.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, SAMPLE_ROWS } from './check.ts';
import { countsOf, statisticsOf, sumOf } from './history.ts';

const nullKey = sql<boolean>`(user_id is null or movie_id is null)`;
const outOfDomain = sql<boolean>`(rating is null or rating not between 0.5 and 5.0
  or rating * 2 <> trunc(rating * 2) or rating_timestamp is null or not isfinite(rating_timestamp))`;

/** The tables to be looked at, each with its condition, and the instants that ages are measured from. */
export interface Batch extends Pick<Run, 'asOf' | 'startedAt'> {
  /** `table b where condition`. */
  ratings: RawBuilder<unknown>;
  movies: RawBuilder<unknown>;
  /** Of the source but not among `ratings`, because it has passed before and is the same. */
  unchanged?: { rows: number; newest: Date | null };
}

/** The batch of a run as it was read; where it holds changes only, with what was refused of the users who are the same. */
export async function measureBronze(db: Db, { run, asOf, startedAt }: Run): Promise<Measurements> {
  const ofRun = sql`where _batch_id = ${sql.lit(run)}`;
  const batch = { movies: sql`bronze.movies ${ofRun}`, asOf, startedAt };
  const { follows, ratings: read } = await db
    .selectFrom('bronze.batches')
    .select(['follows', 'ratings'])
    .where('_batch_id', '=', run)
    .executeTakeFirstOrThrow();
  if (follows === null)
    return measureBatch(db, { ...batch, ratings: sql`${rowsOf('bronze.ratings', run)} b where true` });
  const isSame = sql`not exists (
    select from bronze.changed_users c where c._batch_id = ${sql.lit(run)} and c.user_id = before.user_id)`;
  const { rows } = await sql<{ newest: Date | null }>`
    select max(last_at) as newest from gold.user_totals before
    where run = ${sql.lit(follows)} and ${isSame}`.execute(db);
  return measureBatch(db, {
    ...batch,
    ratings: sql`(
      select user_id, movie_id, rating, rating_timestamp from bronze.ratings ${ofRun}
      union all
      select user_id, movie_id, rating, rating_timestamp from silver.rejected_ratings before
      where _batch_id = ${sql.lit(follows)} and user_id is not null and ${isSame}
    ) b where true`,
    unchanged: { rows: (await countRead(db, run)) - read, newest: rows[0].newest },
  });
}

/** The source as it is now: what a night that started now would find, and what its snapshot would lack. */
export async function measureSourceRows(
  db: Db,
  instants: Pick<Run, 'asOf' | 'startedAt'>,
): Promise<Measurements> {
  const batch = {
    ratings: sql`movielens.ratings b where true`,
    movies: sql`movielens.movies where true`,
    ...instants,
  };
  const ofRows = await measureBatch(db, batch);
  const ofSnapshot = await measureSnapshotToBe(db, instants.asOf);
  return {
    checks: { ...ofRows.checks, ...ofSnapshot.checks },
    statistics: ofSnapshot.statistics,
  };
}

/** What silver would refuse and keep, by its own rules: a pass for the reasons, and one that sorts for the pairs. */
async function measureSnapshotToBe(db: Db, asOf: Date): Promise<Measurements> {
  const judged = sql`(
    select b.user_id, b.movie_id, b.rating, b.rating_timestamp, ${refusalReason(asOf)} as reason
    from movielens.ratings b
    left join (select distinct movie_id from movielens.movies where ${isCatalogued}) m using (movie_id)
  ) judged`;
  const { rows } = await sql<{ rows: number; refused: number; usable: number }>`
    select count(*) as rows, count(*) filter (where reason <> 'after_as_of') as refused,
           count(*) filter (where reason is null) as usable
    from ${judged}`.execute(db);
  const [{ rows: all, refused, usable }] = rows;
  if (all === 0) return { checks: {} };
  const latest = await sql<{ rating: number; ratings: number }>`
    select rating, count(*) as ratings from (
      select distinct on (user_id, movie_id) rating from ${judged} where reason is null
      order by user_id, movie_id, rating_timestamp desc, rating desc
    ) latest group by rating`.execute(db);
  const counts = countsOf(latest.rows);
  const superseded = usable - sumOf(counts);
  return {
    checks: {
      snapshot_present: { observed: usable },
      refused_share: { observed: refused / all, finding: ofAll(refused, all) },
      duplicates: { observed: superseded, sample: superseded === 0 ? [] : await samplePairs(db, judged) },
    },
    statistics: statisticsOf(counts),
  };
}

/** A share in words. */
export function ofAll(part: number, all: number): string {
  return `${part} of ${all}, ${((part / all) * 100).toFixed(2)}%`;
}

/** What one pass over a batch finds. */
interface Seen {
  rows: number;
  nullKeys: number;
  outOfDomain: number;
  future: number;
  orphans: number;
  newest: Date | null;
  /** Whether silver takes every row. */
  allAccepted: boolean;
}

/**
 * One pass that asks of each row whether silver takes it, which nearly all are, and of all of them which is the newest: where silver
 * takes each and that one too is early enough, none has a fault. Else a second pass for each fault, and one more for
 * each that there is, which ends at the rows of its sample.
 */
async function lookAt(db: Db, run: Batch): Promise<Seen> {
  const known = await constantIds(
    db,
    sql`select distinct movie_id from ${run.movies} and ${isCatalogued}`,
    'bigint',
  );
  const accepted = isAcceptedIn(sql`movie_id = any(${sql.raw(known)})`);
  // An as-of may be a little after the start, and what lies between is of the future, which silver would take.
  const latest = run.asOf < run.startedAt ? run.asOf : run.startedAt;
  const { rows: all } = await sql<{ rows: number; newest: Date | null; allAccepted: boolean }>`
    select rows, allAccepted as "allAccepted", case when allAccepted then newest end as newest
    from (
      select rows, newest, others = 0 and coalesce(newest <= ${instant(latest)}, true) as allAccepted
      from (
        select count(*) as rows, count(*) filter (where ${accepted} is not true) as others,
               max(rating_timestamp)::timestamptz as newest
        from ${run.ratings}
      ) counted
    ) judged`.execute(db);
  const [seen] = all;
  if (seen.allAccepted) return { ...seen, nullKeys: 0, outOfDomain: 0, future: 0, orphans: 0 };
  const { rows: apart } = await sql<Omit<Seen, 'rows' | 'allAccepted'>>`
    select count(*) filter (where ${nullKey}) as "nullKeys",
           count(*) filter (where ${outOfDomain}) as "outOfDomain",
           count(*) filter (where ${future(run)}) as future,
           count(*) filter (where ${orphan(run)}) as orphans,
           max(rating_timestamp::timestamptz)
             filter (where isfinite(rating_timestamp) and rating_timestamp <= ${instant(run.asOf)}) as newest
    from ${run.ratings}`.execute(db);
  return { ...seen, ...apart[0] };
}

async function measureBatch(db: Db, run: Batch): Promise<Measurements> {
  const batch = run.ratings;
  const seen = await lookAt(db, run);
  if (seen.rows + (run.unchanged?.rows ?? 0) === 0) return { checks: {} };
  const newest = later(seen.newest, run.unchanged?.newest ?? null);
  const age = newest === null ? null : (run.asOf.getTime() - newest.getTime()) / 86_400_000;
  const sample = async (condition: RawBuilder<boolean>): Promise<unknown[]> => {
    const offending = await sql`
      select user_id, movie_id, rating, rating_timestamp from ${batch} and ${condition}
      limit ${sql.lit(SAMPLE_ROWS)}`.execute(db);
    return offending.rows;
  };
  const counted = async (observed: number, condition: RawBuilder<boolean>) => ({
    observed,
    sample: observed > 0 ? await sample(condition) : [],
  });
  return {
    batch: {
      all_accepted: seen.allAccepted,
      ...(run.unchanged === undefined ? { ratings: seen.rows } : {}),
    },
    checks: {
      null_keys: await counted(seen.nullKeys, nullKey),
      rating_domain: await counted(seen.outOfDomain, outOfDomain),
      future_timestamps: await counted(seen.future, future(run)),
      orphan_movies: await counted(seen.orphans, orphan(run)),
      freshness: {
        observed: age,
        ...(newest === null
          ? { finding: 'no rating before the as-of' }
          : { finding: `the newest ${age?.toFixed(1)} days before, at ${newest.toISOString()}` }),
      },
      catalogue_titles: await measureCatalogue(db, run),
    },
  };
}

/** The start of the run, not the as-of: a backfill's later rows are set aside, and no dirt. */
function future({ startedAt }: Batch): RawBuilder<boolean> {
  return sql`(isfinite(rating_timestamp) and rating_timestamp > ${instant(startedAt)})`;
}

function orphan({ movies }: Batch): RawBuilder<boolean> {
  return sql`(movie_id is not null and movie_id not in (
    select movie_id from ${movies} and movie_id is not null
  ))`;
}

function later(one: Date | null, other: Date | null): Date | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

/** Users and movies that have more than one usable rating. */
async function samplePairs(db: Db, judged: RawBuilder<unknown>): Promise<unknown[]> {
  const { rows } = await sql`
    select user_id, movie_id, count(*) as ratings from ${judged} where reason is null
    group by user_id, movie_id having count(*) > 1 limit ${sql.lit(SAMPLE_ROWS)}`.execute(db);
  return rows;
}

async function measureCatalogue(db: Db, { movies }: Batch) {
  const { rows } = await sql<{ rows: number; dirty: number }>`
    select count(*) as rows,
           count(*) filter (where movie_id is null or title is null)
             + count(movie_id) - count(distinct movie_id) as dirty
    from ${movies}`.execute(db);
  const [seen] = rows;
  if (seen.rows === 0) return { observed: null, finding: 'nothing: the catalogue is empty' };
  if (seen.dirty === 0) return { observed: 0 };
  const offending = await sql`
    select movie_id, title from ${movies} and (movie_id is null or title is null or movie_id in (
      select movie_id from ${movies} group by movie_id having count(*) > 1
    )) limit ${sql.lit(SAMPLE_ROWS)}`.execute(db);
  return { observed: seen.dirty, sample: offending.rows };
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { isCatalogued, refusalReason } from './refusal-reason.ts';

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

/** The snapshot of a run: one row per (user, movie), the latest rating; what is refused is kept with its reason. */
export function buildSilver(
  { connection }: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<SilverResult> {
  return runStage(connection, { run, stage: 'silver', signal }, async (attempt) => {
    const { asOf } = await loadRun(connection.db, run);
    report({ step: 'building the snapshot' });
    return attempt.finish(async ({ db }) => {
      const movies = await createPartitionAs(db, 'silver.movies', run, catalogue(db, run));
      const rejected = await createPartitionAs(
        db,
        'silver.rejected_ratings',
        run,
        sql`
          select _batch_id, user_id, movie_id, rating, rating_timestamp, reason
          from ${classified(run, asOf)} c where reason is not null`,
      );
      const ratings = await createPartitionAs(db, 'silver.ratings', run, latestRatings(run, asOf));
      const counted = await countSnapshot(db, run, asOf);
      await db
        .insertInto('silver.snapshots')
        .values({
          run,
          as_of: asOf,
          bronze_ratings: counted.bronze,
          silver_ratings: ratings,
          rejected_ratings: rejected,
          after_as_of: counted.afterAsOf,
          superseded_ratings: counted.superseded,
          users: counted.users,
          rated_movies: counted.ratedMovies,
          movies,
          newest_rating_at: counted.newest,
        })
        .execute();
      return {
        rows: ratings,
        bronze: counted.bronze,
        rejected,
        afterAsOf: counted.afterAsOf,
        superseded: counted.superseded,
        users: counted.users,
        movies,
        note: `${rejected} refused, ${counted.superseded} superseded`,
      };
    });
  });
}

/** One row a movie: of several with one id the first by title, so that every night chooses the same. */
function catalogue(db: Db, run: number) {
  const genres = sql<string>`coalesce(nullif(genres, ''), '(no genres listed)')`;
  return db
    .selectFrom('bronze.movies')
    .where('_batch_id', '=', sql.lit(run))
    .where(isCatalogued)
    .distinctOn('movie_id')
    .orderBy('movie_id')
    .orderBy('title')
    .orderBy('genres')
    .select([
      sql.lit(run).as('run'),
      sql<number>`movie_id::integer`.as('movie_id'),
      'title',
      genres.as('genres'),
      sql<string[]>`string_to_array(${genres}, '|')`.as('genre_list'),
      sql<string>`split_part(${genres}, '|', 1)`.as('primary_genre'),
      sql<number>`cardinality(string_to_array(${genres}, '|'))`.as('num_genres'),
      sql<number | null>`substring(title from '\\((\\d{4})\\)')::integer`.as('year'),
    ]);
}

/** The batch with each row's reason for being refused, null where there is none. */
function classified(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`(
    select b._batch_id, b.user_id, b.movie_id, b.rating, b.rating_timestamp, ${refusalReason(asOf)} as reason
    from bronze.ratings b
    left join silver.movies m on m.run = ${sql.lit(run)} and m.movie_id = b.movie_id
    where b._batch_id = ${sql.lit(run)}
  )`;
}

/** The latest rating of each pair wins; at equal timestamps the larger. */
function latestRatings(run: number, asOf: Date): RawBuilder<unknown> {
  return sql`
    select distinct on (user_id, movie_id)
           ${sql.lit(run)} as run, user_id::integer as user_id, movie_id::integer as movie_id,
           rating::real as rating, rating_timestamp
    from ${classified(run, asOf)} c
    where reason is null
    order by user_id, movie_id, rating_timestamp desc, rating desc`;
}

/**
 * Counts for the snapshot. Superseded rows are counted from the batch by themselves, not as a remainder, so that
 * the gate's bronze = silver + rejected + superseded can fail.
 */
async function countSnapshot(db: Db, run: number, asOf: Date) {
  const { rows } = await sql<{ bronze: number; afterAsOf: number; superseded: number }>`
    select count(*) as bronze,
           count(*) filter (where reason = 'after_as_of') as "afterAsOf",
           coalesce((
             select sum(ratings - 1) from (
               select count(*) as ratings from ${classified(run, asOf)} v
               where reason is null group by user_id, movie_id having count(*) > 1
             ) pairs
           ), 0) as superseded
    from ${classified(run, asOf)} c`.execute(db);
  const snapshot = await db
    .selectFrom('silver.ratings')
    .where('run', '=', run)
    .select(({ fn }) => [
      fn.count<number>('user_id').distinct().as('users'),
      fn.count<number>('movie_id').distinct().as('ratedMovies'),
      fn.max('rating_timestamp').as('newest'),
    ])
    .executeTakeFirstOrThrow();
  return { ...rows[0], ...snapshot };
}

import { type RawBuilder, sql } from 'kysely';
import { blockedAt } from '../../database/block-list.ts';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, type Observation, SAMPLE_ROWS } from './check.ts';

/** The lists that are about to be shown, against the snapshot that they were made from. */
export async function measurePublish(db: Db, { run, settings, startedAt }: Run): Promise<Measurements> {
  const at = sql.lit(run);
  const { perUser, excludeRated, minimumRatings } = settings.recommendations;
  const present = await sql<{ lists: number; similar: number; trending: number }>`
    select (select count(*) from store.batch_recs where run = ${at}) as lists,
           (select count(*) from store.similar_movies where run = ${at}) as similar,
           (select count(*) from store.trending where run = ${at}) as trending`.execute(db);
  const [{ lists, similar, trending }] = present.rows;
  const listable = sql`(
    select movie_id from silver.ratings where run = ${at} and movie_id not in ${blockedAt(startedAt)}
    group by movie_id having count(*) >= ${sql.lit(minimumRatings)}
  )`;
  const lengths = sql`
    with listable as ${listable},
    left_over as (
      select user_id, (select count(*) from listable)
        - ${excludeRated ? sql`count(listable.movie_id)` : sql`0`} as movies
      from silver.ratings r left join listable using (movie_id)
      where r.run = ${at} group by user_id
    ),
    listed as (
      select user_id, count(*) as entries, min(rank) as first, max(rank) as last, count(distinct movie_id) as movies
      from store.batch_recs where run = ${at} group by user_id
    )
    select l.user_id, coalesce(g.entries, 0) as entries, least(${sql.lit(perUser)}, l.movies) as expected
    from left_over l full join listed g using (user_id)
    where l.user_id is null or coalesce(g.entries, 0) <> least(${sql.lit(perUser)}, l.movies)
       or g.first <> 1 or g.last <> g.entries or g.movies <> g.entries`;
  const rated = sql`
    select r.user_id, r.movie_id from store.batch_recs r
    join silver.ratings s on s.run = ${at} and s.user_id = r.user_id and s.movie_id = r.movie_id
    where r.run = ${at}`;
  const untitled = sql`
    select l.movie_id from (
      select movie_id from store.batch_recs where run = ${at}
      union select similar_movie_id from store.similar_movies where run = ${at}
    ) l left join store.movies m on m.run = ${at} and m.movie_id = l.movie_id
    where m.title is null`;
  const itself = sql`
    select movie_id from store.similar_movies where run = ${at} and similar_movie_id = movie_id`;
  const nothing: Observation = { observed: null, finding: 'no lists' };
  return {
    recommendations_complete: lists === 0 ? nothing : await offending(db, lengths),
    no_rated_movie: lists === 0 ? nothing : excludeRated ? await offending(db, rated) : { observed: 0 },
    no_null_title: lists === 0 ? nothing : await offending(db, untitled),
    never_itself:
      similar === 0 ? { observed: null, finding: 'no similar movies' } : await offending(db, itself),
    trending_present: { observed: trending },
  };
}

/** Counts what a query finds and keeps the first rows of it. */
async function offending(db: Db, query: RawBuilder<unknown>): Promise<Observation> {
  const { rows } = await sql<{ found: number; sample: unknown[] | null }>`
    with offending as (${query})
    select (select count(*) from offending) as found,
           (select json_agg(o) from (select * from offending limit ${sql.lit(SAMPLE_ROWS)}) o) as sample`.execute(
    db,
  );
  return { observed: rows[0].found, sample: rows[0].sample ?? [] };
}

import { type RawBuilder, sql } from 'kysely';
import { blockedAt } from '../../database/block-list.ts';
import type { Db } from '../../database/connect.ts';
import { imageOf } from '../../database/snapshots.ts';
import { churnOfVersions } from '../selection/churn.ts';
import type { Run } from '../support/run.ts';
import { type Beside, type Measurements, type Observation, SAMPLE_ROWS } from './check.ts';

/**
 * The lists that are about to be shown, against the snapshot that they were made from: two passes over the lists, one
 * over the neighbours. What is found costs a pass more, for its sample. And against the lists that they take the place of: one
 * more pass for the users, and a sample of both.
 */
export async function measurePublish(db: Db, context: Run, beside: Beside): Promise<Measurements> {
  const { run } = context;
  const { entries, checks } = await measureLists(db, context, beside);
  const [churn, titles] = await Promise.all([
    entries === 0 ? NO_LISTS : beside((other) => measureChurn(other, run)),
    measureTitles(db, run),
  ]);
  const trending = await db
    .selectFrom('store.trending')
    .where('run', '=', sql.lit(run))
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  return {
    checks: {
      ...checks,
      no_null_title: entries === 0 ? NO_LISTS : titles.missing,
      never_itself: titles.itself,
      list_churn: churn,
      trending_present: { observed: trending.rows },
    },
  };
}

const NO_LISTS: Observation = { observed: null, finding: 'no lists' };

/** Each user's list: whether it is as long as it can be, and what in it should not be there. */
async function measureLists(db: Db, { run, settings, startedAt }: Run, beside: Beside) {
  const at = sql.lit(run);
  const image = sql.lit(await imageOf(db, run));
  const { excludeRated } = settings.recommendations;
  const judgedOf = (users: RawBuilder<unknown>): RawBuilder<unknown> =>
    judgedLists({ run, settings, startedAt }, image, users);
  const { entries, incomplete, rated } = await countLists(db, run, beside, judgedOf);
  const observe = async (observed: number, query: RawBuilder<unknown>): Promise<Observation> =>
    entries === 0 ? NO_LISTS : { observed, sample: observed === 0 ? [] : await sample(db, query) };
  return {
    entries,
    checks: {
      recommendations_complete: await observe(
        incomplete,
        sql`${judgedOf(sql`true`)} select user_id, entries, expected from judged where incomplete`,
      ),
      no_rated_movie: excludeRated
        ? await observe(
            rated,
            sql`
              select b.user_id, b.movie_id from store.batch_recs b
              join silver.ratings s on s.image = ${image} and s.user_id = b.user_id and s.movie_id = b.movie_id
              where b.run = ${at}`,
          )
        : {
            observed: null,
            skipped: 'skipped: lists may hold rated movies, recommendations.excludeRated is false',
          },
    },
  };
}

/** Over all lists: those of half of the users by the measurement's own connection, the others' beside it. */
async function countLists(
  db: Db,
  run: number,
  beside: Beside,
  judgedOf: (users: RawBuilder<unknown>) => RawBuilder<unknown>,
) {
  const countOf = async (asked: Db, users: RawBuilder<unknown>) => {
    const { rows } = await sql<Record<'entries' | 'incomplete' | 'rated', number>>`${judgedOf(users)}
      select coalesce(sum(entries), 0) as entries, count(*) filter (where incomplete) as incomplete,
             coalesce(sum(rated), 0) as rated
      from judged`.execute(asked);
    return rows[0];
  };
  const middle = sql.lit(await middleUser(db, run));
  const [upper, lower] = await Promise.all([
    beside((other) => countOf(other, sql`user_id >= ${middle}`)),
    countOf(db, sql`user_id < ${middle}`),
  ]);
  return {
    entries: lower.entries + upper.entries,
    incomplete: lower.incomplete + upper.incomplete,
    rated: lower.rated + upper.rated,
  };
}

/** A user of the snapshot with as many of its users before as after; 0 where it has none. */
async function middleUser(db: Db, run: number): Promise<number> {
  const { rows } = await sql<{ user: number | null }>`
    select percentile_disc(0.5) within group (order by user_id) as user
    from gold.user_totals where run = ${sql.lit(run)}`.execute(db);
  return rows[0].user ?? 0;
}

/**
 * The lists as `judged`: of each user how many entries there are, are expected and are rated, and whether it is incomplete.
 * @param users a condition on `user_id`
 */
function judgedLists(
  { run, settings, startedAt }: Pick<Run, 'run' | 'settings' | 'startedAt'>,
  image: RawBuilder<unknown>,
  users: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const at = sql.lit(run);
  const { perUser, excludeRated, minimumRatings } = settings.recommendations;
  return sql`
    with listable as (
      select movie_id from gold.movie_totals
      where run = ${at} and ratings >= ${sql.lit(minimumRatings)} and movie_id not in ${blockedAt(startedAt)}
    ),
    listed as (
      select user_id, count(*) as entries, min(rank) as first, max(rank) as last,
             count(distinct movie_id) as movies, array_agg(movie_id) as listed
      from store.batch_recs where run = ${at} and ${users} group by user_id
    ),
    expected as (
      select user_id, entries, first, last, movies, u.user_id is null as unknown,
             -- By user: of all lists in one join PostgreSQL looks up each entry from the root of the index.
             ${
               excludeRated
                 ? sql`(
                     select count(*) from silver.ratings r
                     where r.image = ${image} and r.user_id = g.user_id and r.movie_id = any(g.listed))`
                 : sql`0`
             } as rated,
             -- Only a list that is not full can be short of what is left.
             case when g.entries = ${sql.lit(perUser)} then ${sql.lit(perUser)}
               else least(${sql.lit(perUser)}, (select count(*) from listable) - ${
                 excludeRated
                   ? sql`(
                       select count(*) from silver.ratings r join listable using (movie_id)
                       where r.image = ${image} and r.user_id = u.user_id)`
                   : sql`0`
               })
             end as expected
      from (select user_id from gold.user_totals where run = ${at} and ${users}) u
      full join listed g using (user_id)
    ),
    judged as (
      select user_id, coalesce(entries, 0) as entries, expected, rated,
             unknown or coalesce(entries, 0) <> expected
               or first <> 1 or last <> entries or movies <> entries as incomplete
      from expected
    )`;
}

/**
 * Movies in lists and among neighbours that have no title, and neighbours of themselves. Apart from the lists themselves: of
 * distinct values, which those are counted by, PostgreSQL makes no parallel plan.
 */
async function measureTitles(db: Db, run: number): Promise<{ missing: Observation; itself: Observation }> {
  const at = sql.lit(run);
  const untitled = await count(
    db,
    sql`
      from store.batch_recs b left join store.movies m on m.run = ${at} and m.movie_id = b.movie_id
      where b.run = ${at} and m.title is null`,
  );
  const { rows } = await sql<Record<'entries' | 'untitled' | 'itself', number>>`
    select count(*) as entries, count(*) filter (where m.title is null) as untitled,
           count(*) filter (where s.similar_movie_id = s.movie_id) as itself
    from store.similar_movies s left join store.movies m on m.run = ${at} and m.movie_id = s.similar_movie_id
    where s.run = ${at}`.execute(db);
  const [neighbours] = rows;
  const missing = untitled + neighbours.untitled;
  const offending = sql`
    select movie_id, rank from store.similar_movies where run = ${at} and similar_movie_id = movie_id`;
  return {
    missing: { observed: missing, sample: missing === 0 ? [] : await sampleUntitled(db, run) },
    itself:
      neighbours.entries === 0
        ? { observed: null, finding: 'no similar movies' }
        : {
            observed: neighbours.itself,
            sample: neighbours.itself === 0 ? [] : await sample(db, offending),
          },
  };
}

async function measureChurn(db: Db, run: number): Promise<Observation> {
  const served = await db
    .selectFrom('serving.pointer as p')
    .innerJoin('serving.versions as v', 'v.run', 'p.model_run')
    .select(['v.run', 'v.model_version'])
    .executeTakeFirst();
  if (served === undefined) return { observed: null, skipped: 'skipped: no lists are served yet' };
  const against = `against ${served.model_version}`;
  const found = await churnOfVersions(db, run, served.run);
  return found === null
    ? { observed: 1, finding: `no user who has a list now and had one before, ${against}` }
    : {
        observed: found.churn,
        finding: `${found.churn.toFixed(3)} over ${found.users} users, ${against}`,
      };
}

function sampleUntitled(db: Db, run: number): Promise<unknown[]> {
  const at = sql.lit(run);
  return sample(
    db,
    sql`
      select l.movie_id from (
        select movie_id from store.batch_recs where run = ${at}
        union select similar_movie_id from store.similar_movies where run = ${at}
      ) l left join store.movies m on m.run = ${at} and m.movie_id = l.movie_id
      where m.title is null`,
  );
}

async function count(db: Db, from: RawBuilder<unknown>): Promise<number> {
  const { rows } = await sql<{ rows: number }>`select count(*) as rows ${from}`.execute(db);
  return rows[0].rows;
}

/** The first rows of what a query finds. */
async function sample(db: Db, query: RawBuilder<unknown>): Promise<unknown[]> {
  return (await sql`${query} limit ${sql.lit(SAMPLE_ROWS)}`.execute(db)).rows;
}

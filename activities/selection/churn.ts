/** Churn: how much of what readers see changes from one set of lists to another. */

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';

/** Places of a list that count: a movie that moves within them is no churn. */
export const CHURN_PLACES = 20;

/**
 * Users that it is measured over, at most, at equal distances. Churn of a single user has a standard deviation of 0.16 on
 * ml-latest-small, so the mean over 10,000 is good to 0.002.
 */
export const CHURN_USERS = 10_000;

export interface Churn {
  /** 1 minus the mean Jaccard similarity of a user's two lists: 0 where all are the same, 1 where none shares a movie. */
  churn: number;
  /** Users with both lists that it is the mean over. */
  users: number;
}

/** Between the lists of two twins of a run; null where no user has both, or a twin of older code left none. */
export async function churnOfTwins(db: Db, run: number, a: string, b: string): Promise<Churn | null> {
  const { rows } = await sql<MeanChurn>`
    select avg(1 - shared::float8 / (cardinality(a.listed) + cardinality(b.listed) - shared) order by user_id) as churn,
           count(*) as users
    from experiments.user_metrics a join experiments.user_metrics b using (run, user_id)
    cross join lateral (select count(*) as shared from unnest(a.listed) movie where movie = any(b.listed)) s
    where run = ${sql.lit(run)} and a.configuration = ${a} and b.configuration = ${b}
      and a.listed is not null and b.listed is not null`.execute(db);
  return churnOf(rows[0]);
}

/** Between the lists that two runs have made, whole models on their own snapshots; null where no user has both. */
export async function churnOfVersions(db: Db, run: number, served: number): Promise<Churn | null> {
  // Subqueries, which are answered by the key, user by user: a join is planned as if every list were read, in seconds.
  const listOf = (version: number) => sql`
    array(select movie_id from store.batch_recs l
          where l.run = ${sql.lit(version)} and l.user_id = s.user_id and l.rank <= ${sql.lit(CHURN_PLACES)})`;
  const { rows } = await sql<MeanChurn>`
    with users as (
      select user_id, row_number() over (order by user_id) - 1 as place, count(*) over () as users
      from store.batch_recs where run = ${sql.lit(run)} and rank = 1
    ),
    sampled as (
      select user_id from users where place % ceil(users / ${sql.lit(CHURN_USERS)}::numeric) = 0
    ),
    held as materialized (
      select user_id, ${listOf(run)} as now, ${listOf(served)} as before from sampled s
    )
    select avg(1 - shared::float8 / (cardinality(now) + cardinality(before) - shared) order by user_id) as churn,
           count(*) as users
    from held
    cross join lateral (select count(*) as shared from unnest(now) movie where movie = any(before)) s
    where cardinality(before) > 0`.execute(db);
  return churnOf(rows[0]);
}

/** In one order of users: the last bits of a sum depend on it. */
interface MeanChurn {
  churn: number | null;
  users: number;
}

function churnOf({ churn, users }: MeanChurn): Churn | null {
  return churn === null ? null : { churn, users };
}

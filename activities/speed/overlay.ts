import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';

/**
 * Makes the overlay what the temporary tables `folded` and `listed` hold; rows of other versions go. Users who are as
 * they were keep their row, and who is not among them any more has none.
 * @param given.ratings the table of what they have rated
 * @returns how many users it has
 */
export async function replaceOverlay(
  db: Db,
  given: { modelRun: number; asOf: Date; ratings: string },
): Promise<number> {
  await sql`
    create temporary table fresh_overlay on commit drop as
    select f.user_id, f.factors, r.rated, coalesce(l.movies, '{}') as movies, coalesce(l.scores, '{}') as scores
    from folded f
    join (
      select user_id, array_agg(movie_id order by movie_id) as rated from ${sql.table(given.ratings)} group by user_id
    ) r using (user_id)
    left join (
      select user_id, array_agg(movie_id order by rank) as movies, array_agg(predicted_score order by rank) as scores
      from listed group by user_id
    ) l using (user_id)`.execute(db);
  await sql`analyze fresh_overlay (user_id)`.execute(db);
  await sql`
    delete from speed.overlay o where not exists (
      select from fresh_overlay f
      where o.model_run = ${given.modelRun} and f.user_id = o.user_id
        and (f.factors, f.rated, f.movies, f.scores) = (o.factors, o.rated, o.movies, o.scores))`.execute(db);
  await sql`
    insert into speed.overlay (model_run, user_id, factors, rated, movies, scores, generated_at)
    select ${given.modelRun}::integer, f.*, ${given.asOf.toISOString()}::timestamptz from fresh_overlay f
    where not exists (
      select from speed.overlay o where o.model_run = ${given.modelRun} and o.user_id = f.user_id)`.execute(
    db,
  );
  const { rows } = await sql<{ users: number }>`select count(*) as users from fresh_overlay`.execute(db);
  return rows[0].users;
}

/** Takes out of the overlay who is no user of the served version, and whoever a later night has found gone from the source. */
export async function forgetOverlay(db: Db, { run, asOf }: { run: number; asOf: Date }): Promise<void> {
  await sql`
    delete from speed.overlay o
    where o.model_run is distinct from (select model_run from serving.pointer)
       or o.generated_at <= ${asOf.toISOString()}::timestamptz and not exists (
         select from gold.user_totals t where t.run = ${sql.lit(run)} and t.user_id = o.user_id)`.execute(db);
}

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { imageOf } from '../../database/snapshots.ts';
import type { Run } from '../support/run.ts';

/** Drops results, statistics and samples that are older than is kept, and from kept samples who is gone from the source. */
export async function forgetOldResults(db: Db, { run, startedAt, settings }: Run): Promise<void> {
  const { checkResultsDays, sampleNights } = settings.retention;
  const oldest = new Date(startedAt.getTime() - checkResultsDays * 86_400_000);
  const tooOld = db.selectFrom('pipeline.runs').select('run').where('started_at', '<', oldest);
  await db.deleteFrom('quality.check_results').where('run', 'in', tooOld).execute();
  await db.deleteFrom('quality.source_statistics').where('run', 'in', tooOld).execute();
  await db
    .updateTable('quality.check_results')
    .set({ sample: '[]' })
    .where('sample', '<>', sql<unknown[]>`'[]'::jsonb`)
    .where('run', 'not in', (results) =>
      results
        .selectFrom('quality.check_results')
        .select('run')
        .distinct()
        .orderBy('run', 'desc')
        .limit(sampleNights),
    )
    .execute();
  await forgetDeletedRows(db, run);
}

/** By tonight's snapshot and what it refused and superseded, which is the source as it is, for the users of older samples. */
async function forgetDeletedRows(db: Db, run: number): Promise<void> {
  const image = await imageOf(db, run);
  await sql`
    with sampled as materialized (
      select c.run, c.check_name, s.place, s.entry,
             (s.entry ->> 'user_id')::numeric as user_id, (s.entry ->> 'movie_id')::numeric as movie_id
      from quality.check_results c, jsonb_array_elements(c.sample) with ordinality s (entry, place)
      where c.run <> ${sql.lit(run)} and c.sample <> '[]'
    ),
    present as materialized (
      select s.user_id, s.movie_id from silver.ratings s
      where s.image = ${sql.lit(image)} and s.user_id in (
        select user_id::integer from sampled where user_id between -2147483648 and 2147483647)
      union
      select b.user_id, b.movie_id from silver.rejected_ratings b
      where b._batch_id = ${sql.lit(run)} and b.user_id in (select user_id from sampled)
    ),
    kept as (
      select run, check_name,
             coalesce(jsonb_agg(entry order by place) filter (where
               user_id is null or exists (
                 select from present p
                 where p.user_id = s.user_id and (s.movie_id is null or p.movie_id = s.movie_id)
               )), '[]') as sample
      from sampled s group by run, check_name
    )
    update quality.check_results c set sample = kept.sample
    from kept where kept.run = c.run and kept.check_name = c.check_name and kept.sample <> c.sample`.execute(
    db,
  );
}

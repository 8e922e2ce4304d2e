/** An image brought up to date in place: of the changed users what differs, and nothing of anybody else. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { setLocal } from '../../database/session.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { createPartitionAs } from '../../database/versions.ts';
import { ofChangedUsers } from './batch.ts';
import { catalogue } from './catalogue.ts';
import { accepted, latestFirst, refused } from './classified.ts';
import { FAVOUR_PARALLEL } from './source-reader.ts';

/** Makes the image of `follows` that of the run. What was refused and superseded of the users who are the same is carried over. */
export async function bringUpToDate(db: Db, run: number, asOf: Date, follows: HeldSnapshot): Promise<void> {
  const isChanged = sql`exists (
    select from bronze.changed_users c where c._batch_id = ${sql.lit(run)} and c.user_id = before.user_id)`;
  // Of the batch it takes few rows to be accepted.
  await setLocal(db, FAVOUR_PARALLEL);
  await createPartitionAs(db, 'silver.movies', run, catalogue(db, run));
  await createPartitionAs(
    db,
    'silver.rejected_ratings',
    run,
    sql`
      select ${sql.lit(run)} as _batch_id, user_id, movie_id, rating, rating_timestamp, reason
      from silver.rejected_ratings before
      where _batch_id = ${sql.lit(follows.run)} and user_id is not null and not ${isChanged}
      union all ${refused(run, asOf)}`,
  );
  await sql`
    create temporary table ranked on commit drop as
    select *, row_number() over (partition by user_id, movie_id order by ${latestFirst}) as nth
    from (${accepted(run, asOf)}) a`.execute(db);
  await createPartitionAs(
    db,
    'silver.superseded_ratings',
    run,
    sql`
      select ${sql.lit(run)} as _batch_id, user_id, movie_id, rating, rating_timestamp from silver.superseded_ratings before
      where _batch_id = ${sql.lit(follows.run)} and not ${isChanged}
      union all
      select ${sql.lit(run)}, user_id, movie_id, rating, rating_timestamp from ranked where nth > 1`,
  );
  await sql`create index on ranked (user_id, movie_id)`.execute(db);
  await sql`analyze ranked`.execute(db);
  await replaceRatings(db, run, sql.lit(follows.image));
}

/** What has left an image and what has come into it, in temporary tables of the transaction that brings it up to date. */
export const REMOVED = sql.table('removed_ratings');
export const ADDED = sql.table('added_ratings');

async function replaceRatings(db: Db, run: number, image: RawBuilder<unknown>): Promise<void> {
  for (const table of [REMOVED, ADDED])
    await sql`
      create temporary table ${table} (movie_id integer, rating real, rating_timestamp timestamptz)
      on commit drop`.execute(db);
  await sql`
    with removed as (
      delete from silver.ratings s
      where s.image = ${image} and ${ofChangedUsers(run)}
        and not exists (
        select from ranked r
        where r.nth = 1 and r.user_id = s.user_id and r.movie_id = s.movie_id
          and r.rating = s.rating and r.rating_timestamp = s.rating_timestamp)
      returning s.movie_id, s.rating, s.rating_timestamp
    )
    insert into ${REMOVED} select * from removed`.execute(db);
  await sql`
    with added as (
      insert into silver.ratings (image, user_id, movie_id, rating, rating_timestamp)
      select ${image}, user_id, movie_id, rating, rating_timestamp from ranked r
      where nth = 1 and not exists (
        select from silver.ratings s
        where s.image = ${image} and ${ofChangedUsers(run)} and s.user_id = r.user_id and s.movie_id = r.movie_id)
      returning movie_id, rating, rating_timestamp
    )
    insert into ${ADDED} select * from added`.execute(db);
}

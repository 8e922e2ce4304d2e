/** An image brought up to date in place: of the changed users what differs, and nothing of anybody else. */

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { setLocal } from '../../database/session.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { createPartitionAs, leavesOf } from '../../database/versions.ts';
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
  await compare(db, run, asOf, follows.image);
  await createPartitionAs(
    db,
    'silver.superseded_ratings',
    run,
    sql`
      select ${sql.lit(run)} as _batch_id, user_id, movie_id, rating, rating_timestamp from silver.superseded_ratings before
      where _batch_id = ${sql.lit(follows.run)} and not ${isChanged}
      union all
      select ${sql.lit(run)}, user_id, movie_id, rating, rating_timestamp from differing where nth > 1`,
  );
  await replaceRatings(db, follows.image);
}

/**
 * Compares what there is of the changed users with what there is to be: the table `differing` of the transaction, with what is
 * superseded too, which is never there. One statement, so that ratings are sorted by their pairs once.
 */
async function compare(db: Db, run: number, asOf: Date, image: number): Promise<void> {
  await sql`
    create temporary table differing on commit drop as
    select old.part, old.place, user_id, movie_id, nth, old.rating as old_rating, old.rating_timestamp as old_timestamp,
           now.rating, now.rating_timestamp
    from (
      select tableoid as part, ctid as place, user_id, movie_id, 1::bigint as nth, rating, rating_timestamp
      from silver.ratings where image = ${sql.lit(image)} and ${ofChangedUsers(run)}
    ) old
    full join (
      select *, row_number() over (partition by user_id, movie_id order by ${latestFirst}) as nth
      from (${accepted(run, asOf)}) a
    ) now using (user_id, movie_id, nth)
    where old.rating is distinct from now.rating or old.rating_timestamp is distinct from now.rating_timestamp`.execute(
    db,
  );
}

/** What has left an image and what has come into it, of a table of the transaction that brings it up to date. */
export const REMOVED = sql`(
  select movie_id, old_rating as rating, old_timestamp as rating_timestamp from differing where place is not null)`;
export const ADDED = sql`(
  select user_id, movie_id, rating, rating_timestamp from differing where rating is not null and nth = 1)`;

/** Rows that have left are deleted where they lie, and others added. */
async function replaceRatings(db: Db, image: number): Promise<void> {
  for (const leaf of await leavesOf(db, 'silver.ratings', image))
    await sql`
      delete from ${sql.raw(leaf)}
      where ctid = any(array(select place from differing where part = ${sql.lit(leaf)}::regclass))`.execute(
      db,
    );
  await sql`
    insert into silver.ratings (image, user_id, movie_id, rating, rating_timestamp)
    select ${sql.lit(image)}, user_id, movie_id, rating, rating_timestamp
    from ${ADDED} a order by user_id, movie_id`.execute(db);
}

/** Who is not in the source as a night has read them, and what they have rated by now. */

import { sql } from 'kysely';
import { instant } from '../../database/constants.ts';
import type { Session } from '../../database/session.ts';
import { rowsOf } from '../../database/versions.ts';
import { ratingAsRead } from '../ingestion/batch.ts';
import { MOST_CHANGED, isAmong } from '../ingestion/changes.ts';
import { acceptedOf, latestFirst } from '../ingestion/classified.ts';
import { differingUsers, fingerprints } from '../ingestion/fingerprints.ts';
import type { SourceReader } from '../ingestion/source-reader.ts';
import type { Base } from './base.ts';

/**
 * Finds the changed users, into `changed_users`: by fingerprints, whatever it was that made them differ, and those whose
 * ratings lay after the snapshot's as-of and do no more.
 * @returns how many; null where so much of the source is theirs that a night reads it better as a whole
 */
export async function findChanged(
  session: Session,
  reader: SourceReader,
  { snapshot, compared }: Base,
  asOf: Date,
): Promise<number | null> {
  const { db } = session;
  await reader.tabulate(
    session,
    'source_fingerprints',
    'user_id bigint, ratings bigint, checksum bigint',
    fingerprints(sql`movielens.ratings where true`),
  );
  const differing = compared.map(
    (run) => sql`
      select user_id from (${differingUsers(sql`source_fingerprints`, rowsOf('bronze.fingerprints', run))}) c`,
  );
  await sql`
    create temporary table changed_users on commit drop as
    ${sql.join(differing, sql` union `)}
    union
    select user_id from ${rowsOf('silver.rejected_ratings', snapshot.run)}
    where user_id is not null and reason = 'after_as_of' and rating_timestamp <= ${instant(asOf)}`.execute(
    db,
  );
  await sql`create unique index on changed_users (user_id)`.execute(db);
  await sql`analyze changed_users`.execute(db);
  const { rows } = await sql<{ users: number; share: number | null }>`
    select (select count(*) from changed_users) as users,
           (sum(ratings) filter (where user_id in (select user_id from changed_users)) / nullif(sum(ratings), 0))::float8 as share
    from source_fingerprints`.execute(db);
  return (rows[0].share ?? 0) > MOST_CHANGED ? null : rows[0].users;
}

/**
 * Writes what the changed users have rated, as silver takes it, into a table of its own.
 * @param users how many have changed
 * @returns the number of ratings
 */
export async function readPresent(
  session: Session,
  reader: SourceReader,
  { target, users, snapshot, asOf }: { target: string; users: number; asOf: Date } & Pick<Base, 'snapshot'>,
): Promise<number> {
  const { db } = session;
  const read = await reader.relation(
    session,
    'rows_read',
    'user_id bigint, movie_id bigint, rating double precision, rating_timestamp timestamptz',
    sql`select ${ratingAsRead} from movielens.ratings
      where ${sql.raw(users === 0 ? 'false' : await isAmong(db, sql`changed_users`))}`,
  );
  await sql`
    create table ${sql.table(target)} as
    select distinct on (user_id, movie_id) user_id, movie_id, rating, rating_timestamp
    from (${acceptedOf(read, snapshot.run, asOf)}) a
    order by user_id, movie_id, ${latestFirst}`.execute(db);
  await sql`analyze ${sql.table(target)}`.execute(db);
  const { rows } = await sql<{ rows: number }>`select count(*) as rows from ${sql.table(target)}`.execute(db);
  return rows[0].rows;
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { constantIds } from '../../database/constants.ts';
import type { Session } from '../../database/session.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { createDetachedPartition, partitionName, rowsOf } from '../../database/versions.ts';
import type { Run } from '../support/run.ts';
import { RATING_COLUMNS, ratingsOfSource } from './batch.ts';
import { differingUsers, fingerprints } from './fingerprints.ts';
import { isCatalogued } from './refusal-reason.ts';
import type { SourceReader } from './source-reader.ts';
import { prepareChunked, readChunk } from './whole-batch.ts';

/** With more of the ratings to be read again than this, building the snapshot anew takes less. */
export const MOST_CHANGED = 0.4;

/** Writes into the batch's `changed_users` whoever is not in the source as `before` (a table of fingerprints) has them. */
export async function findChangedUsers(
  session: Session,
  reader: SourceReader,
  { run }: Run,
  before: RawBuilder<unknown>,
): Promise<void> {
  await reader.tabulate(
    session,
    'source_fingerprints',
    'user_id bigint, ratings bigint, checksum bigint',
    fingerprints(sql`movielens.ratings where true`),
  );
  await sql`
    insert into ${sql.table(partitionName('bronze.changed_users', run))}
    select ${sql.lit(run)}, user_id from (${differingUsers(sql`source_fingerprints`, before)}) changed`.execute(
    session.db,
  );
}

/**
 * Adds whose rows are judged anew although they are the same in the source: ratings of movies that have come into the
 * catalogue, have left it or changed their genres, and those that lay after the as-of of before.
 */
export async function addAffectedUsers({ db }: Session, { run }: Run, { run: before, image }: HeldSnapshot) {
  const [now, then] = [sql.lit(run), sql.lit(before)];
  const changed = rowsOf('bronze.changed_users', run);
  await sql`
    with catalogue as (
      select distinct on (movie_id) movie_id, ${genresOf} as genres
      from ${rowsOf('bronze.movies', run)} where ${isCatalogued}
      order by movie_id, title, genres
    ),
    moved as materialized (
      select movie_id from catalogue c
      full join (select movie_id::bigint, genres from silver.movies where run = ${then}) b using (movie_id)
      where c.genres is distinct from b.genres
    )
    insert into ${changed}
    select ${now}, user_id from (
      select user_id from silver.ratings
      where image = ${sql.lit(image)} and exists (select from moved) and movie_id in (select movie_id from moved)
      union
      select user_id from silver.rejected_ratings
      where _batch_id = ${then} and user_id is not null
        and (reason = 'after_as_of' or reason = 'unknown_movie' and movie_id in (select movie_id from moved))
    ) affected
    -- Not by a conflict: the partition gets its key when it is attached.
    where user_id not in (select user_id from ${changed})`.execute(db);
}

const genresOf = sql`coalesce(nullif(genres, ''), '(no genres listed)')`;

/** How many users have changed; null where so much of the source is theirs that it is better read as a whole. */
export async function countChanged({ db }: Session, { run }: Run): Promise<number | null> {
  const { rows } = await sql<{ users: number; share: number | null }>`
    select count(c.user_id) as users,
           (sum(f.ratings) filter (where c.user_id is not null) / nullif(sum(f.ratings), 0))::float8 as share
    from source_fingerprints f
    full join ${rowsOf('bronze.changed_users', run)} c using (user_id)`.execute(db);
  const [{ users, share }] = rows;
  return (share ?? 0) > MOST_CHANGED ? null : users;
}

/** Adds all rows of the changed users, and those without a user, which have no fingerprint, to a batch that has rows already. */
export async function addChangedUsers(session: Session, reader: SourceReader, context: Run): Promise<number> {
  return reader.append(
    session,
    partitionName('bronze.ratings', context.run),
    RATING_COLUMNS,
    ratingsOfSource(context, await isOfChanged(session.db, context)),
    'parallel',
  );
}

/** Makes the batch of them alone. */
export async function readChangedUsers(
  session: Session,
  reader: SourceReader,
  context: Run,
): Promise<number> {
  await prepareChunked(session, context.run);
  const where = await isOfChanged(session.db, context);
  return readChunk(session, reader, context, { place: 0, where }, 'parallel');
}

async function isOfChanged(db: Db, { run }: Run): Promise<string> {
  return `user_id is null or ${await isAmong(db, rowsOf('bronze.changed_users', run))}`;
}

/** The condition that a row of the source is of one of the users of a table of ours, as text for wherever the source is. */
export async function isAmong(db: Db, users: RawBuilder<unknown>): Promise<string> {
  return `user_id::bigint = any(${await constantIds(db, sql`select user_id from ${users}`, 'bigint')})`;
}

/** The fingerprints of what the pipeline has after this batch. */
export async function keepFingerprints(
  { db }: Session,
  { run }: Run,
  { run: before }: HeldSnapshot,
): Promise<void> {
  await createDetachedPartition(db, 'bronze.fingerprints', run);
  const changed = rowsOf('bronze.changed_users', run);
  await sql`
    insert into ${sql.table(partitionName('bronze.fingerprints', run))} (_batch_id, user_id, ratings, checksum)
    select ${sql.lit(run)}, user_id, ratings, checksum from bronze.fingerprints f
    where f._batch_id = ${sql.lit(before)} and not exists (select from ${changed} c where c.user_id = f.user_id)
    union all
    select ${sql.lit(run)}, user_id, ratings, checksum from source_fingerprints s
    where exists (select from ${changed} c where c.user_id = s.user_id)`.execute(db);
}

/** The table of a batch, put together from tables of its own: one a chunk of the whole source, or one of what has changed. */

import { sql } from 'kysely';
import type { Session } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import type { Run } from '../support/run.ts';
import { ratingAsRead } from './batch.ts';
import type { Chunk } from './chunks.ts';
import { forgetChunks } from './lost-batch.ts';
import type { SourceReader } from './source-reader.ts';

const tableOf = (run: number, chunk = '') => sql.table(`${partitionName('bronze.ratings', run)}${chunk}`);

/** Makes the run's table, which is there and empty, one of chunks, unless an earlier attempt has. */
export async function prepareChunked({ db }: Session, run: number): Promise<void> {
  const { rows } = await sql<{ plain: boolean }>`
    select relkind = 'r' as plain from pg_class where oid = ${partitionName('bronze.ratings', run)}::regclass`.execute(
    db,
  );
  if (!rows[0].plain) return;
  await sql`drop table ${tableOf(run)}`.execute(db);
  await sql`
    create table ${tableOf(run)} (like bronze.ratings including defaults including constraints,
      constraint partition_bound check (_batch_id = ${sql.lit(run)})) partition by list (_chunk)`.execute(db);
  // Of code that wrote into the plain one.
  await forgetChunks(db, run);
}

/**
 * Reads a chunk into a table of its own. What is the same in all its rows is added when they are there, as defaults, which
 * take no room in them and no pass over them.
 * @returns the number of rows
 */
export async function readChunk(
  session: Session,
  reader: SourceReader,
  { run, startedAt }: Run,
  { where, place }: Pick<Chunk, 'where' | 'place'>,
  plan?: 'parallel',
): Promise<number> {
  const { db } = session;
  const name = `_chunk${place}`;
  const rows = await reader.create(
    session,
    `${partitionName('bronze.ratings', run)}${name}`,
    'user_id bigint, movie_id bigint, rating double precision, rating_timestamp timestamptz',
    sql`select ${ratingAsRead} from movielens.ratings where ${sql.raw(where)}`,
    plan,
  );
  const table = tableOf(run, name);
  await sql`
    alter table ${table}
      add column _batch_id integer not null default ${sql.lit(run)},
      add column _ingested_at timestamptz not null default ${sql.lit(startedAt.toISOString())}::timestamptz,
      add column _chunk smallint not null default ${sql.lit(place)},
      add constraint partition_bound check (_batch_id = ${sql.lit(run)}),
      add constraint chunk_bound check (_chunk = ${sql.lit(place)})`.execute(db);
  await sql`alter table ${tableOf(run)} attach partition ${table} for values in (${sql.lit(place)})`.execute(
    db,
  );
  await sql`alter table ${table} drop constraint chunk_bound`.execute(db);
  return rows;
}

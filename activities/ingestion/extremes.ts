/** When movies were rated first and last that lose such a rating: to be looked for in the image itself, which takes a pass over it. */

import { sql } from 'kysely';
import { constantIds } from '../../database/constants.ts';
import type { Connection } from '../../database/connect.ts';
import { copyIn, copyOut } from '../../database/copy.ts';
import { type Session, exportSnapshot, setLocal, transaction } from '../../database/session.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { leavesOf } from '../../database/versions.ts';
import { REMOVED } from './changed-image.ts';

/** Of what an image keeps, a row a movie: `movie_id`, `first_at`, `last_at`; in the transaction that brings it up to date. */
export const EXTREMES = 'extremes';

export interface Extremes {
  /** The movies, as an array in text. */
  movies: string;
  /** Looks for them beside whatever the session does meanwhile. */
  read(): Promise<void>;
  /** Leaves what was found in a temporary table of the session. */
  keep(): Promise<void>;
}

/**
 * Finds which movies lose the first or the last of their ratings, when `differing` is there and the image is still what it was:
 * so it is read, by a connection beside, while the session changes it.
 */
export async function findExtremes(
  connection: Connection,
  { db, client }: Session,
  { run, image }: HeldSnapshot,
  signal: AbortSignal,
): Promise<Extremes> {
  const movies = await constantIds(
    db,
    sql`
      select distinct movie_id from ${REMOVED} r
      join gold.movie_totals b using (movie_id)
      where b.run = ${sql.lit(run)} and (r.rating_timestamp <= b.first_at or r.rating_timestamp >= b.last_at)`,
    'integer',
  );
  const kept = await Promise.all(
    (await leavesOf(db, 'silver.ratings', image)).map(async (leaf) => {
      const { rows } = await sql<{ places: string | null }>`
        select array_agg(place)::text as places from differing
        where part = ${sql.lit(leaf)}::regclass and movie_id = any(${sql.raw(movies)})`.execute(db);
      // Not the column itself: PostgreSQL 18 would go through the whole index, which is by user, and with one process.
      return sql`
        select movie_id, rating_timestamp from ${sql.raw(leaf)}
        where movie_id + 0 = any(${sql.raw(movies)}) and ctid <> all(${sql.lit(rows[0].places ?? '{}')}::tid[])`;
    }),
  );
  const query = sql`
    select movie_id, min(rating_timestamp) as first_at, max(rating_timestamp) as last_at
    from (${sql.join(kept, sql` union all `)}) kept group by movie_id`;
  const isNone = movies.startsWith(`'{}'`);
  const view = isNone ? {} : await exportSnapshot(client);
  let found: Buffer[] = [];
  return {
    movies,
    read: async () => {
      if (isNone) return;
      found = await transaction(
        connection,
        async (other) => {
          // With the process that changes the image two are busy: readers would wait for a third.
          await setLocal(other.db, { max_parallel_workers_per_gather: '0' });
          return copyOut(other.client, query.compile(other.db).sql).toArray() as Promise<Buffer[]>;
        },
        { signal, ...view },
      );
    },
    keep: async () => {
      await sql`
        create temporary table ${sql.table(EXTREMES)} (movie_id integer, first_at timestamptz, last_at timestamptz)
        on commit drop`.execute(db);
      if (!isNone) await copyIn(client, { table: EXTREMES, options: 'format binary' }, found);
    },
  };
}

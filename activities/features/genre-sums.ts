/** Sums by user and genre over a whole snapshot, from this host's copy of it. */

import { sql } from 'kysely';
import { copyIn, copyOut } from '../../database/copy.ts';
import { type RowColumn, encodeRows, readFixedColumns } from '../../database/copy-binary.ts';
import type { Session } from '../../database/session.ts';
import { type RatingTriples, createLookup } from '../../recommender/index.ts';
import type { ActivityDependencies, Run } from '../support/run.ts';
import { eachRatingOfCopy } from '../training/model-input.ts';

/** Of columns, each for a genre, a value a user: `one` for each rating of the genre, and the rating's half-stars. */
export const GENRE_SUMS = 'genre_sums';

/**
 * Leaves the sums in a temporary table of the session: PostgreSQL alone takes two processes for 7 s to group 25 million ratings by
 * ten conditions (docs/decisions/0026-features-beside-experiments.md).
 * @param genres names of genres by column
 * @param one what a rating counts beside its half-stars
 * @returns false where this host has no copy of the snapshot, or a damaged one
 */
export async function sumCopyByGenre(
  dependencies: Pick<ActivityDependencies, 'connection' | 'cacheFolder'>,
  { db, client }: Session,
  { run, settings }: Run,
  { genres, one, signal }: { genres: Readonly<Record<string, string>>; one: number; signal: AbortSignal },
): Promise<boolean> {
  const columns = Object.keys(genres);
  const bits = Object.values(genres).map(
    (genre, bit) => sql`case when ${sql.lit(genre)} = any(genre_list) then ${sql.lit(1 << bit)} else 0 end`,
  );
  const read = async (rows: number, query: string, width: number): Promise<Int32Array[]> => {
    const target = { columns: Array.from({ length: width }, () => new Int32Array(rows)), filled: 0 };
    await readFixedColumns(copyOut(client, query), target);
    return target.columns;
  };
  const counts = await db
    .selectFrom('silver.snapshots')
    .select(['users', 'movies'])
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const [users] = await read(
    counts.users,
    `select user_id from gold.user_totals where run = ${run} order by user_id`,
    1,
  );
  const [movies, genresOf] = await read(
    counts.movies,
    sql`select movie_id, ${sql.join(bits, sql` | `)} from silver.movies where run = ${sql.lit(run)}`.compile(
      db,
    ).sql,
    2,
  );
  const sums = new Float64Array(columns.length * users.length);
  const add = adderOf(sums, { users, movies: byId(movies, genresOf), one });
  if (!(await eachRatingOfCopy(dependencies, run, settings.evaluation.holdoutSeed, signal, add)))
    return false;
  await sql`
    create temporary table ${sql.table(GENRE_SUMS)}
    (user_id integer, ${sql.join(columns.map((column) => sql`${sql.ref(column)} float8`))}) on commit drop`.execute(
    db,
  );
  const values = columns.map((_, genre): RowColumn => ({
    type: 'float8',
    values: sums.subarray(genre * users.length, (genre + 1) * users.length),
  }));
  await copyIn(
    client,
    { table: GENRE_SUMS, options: 'format binary' },
    encodeRows([{ type: 'int4', values: users }, ...values], users.length),
  );
  return true;
}

/** Ascending ids, as a lookup wants them, and the bits of each. */
function byId(ids: Int32Array, bits: Int32Array): { ids: Int32Array; bits: Int32Array } {
  const order = Int32Array.from(ids.keys()).sort((a, b) => ids[a] - ids[b]);
  return { ids: order.map((at) => ids[at]), bits: order.map((at) => bits[at]) };
}

/** Adds ratings to sums, which lie genre by genre. All are whole numbers below 2^53: their order does not matter. */
function adderOf(
  sums: Float64Array,
  { users, movies, one }: { users: Int32Array; movies: { ids: Int32Array; bits: Int32Array }; one: number },
): (piece: RatingTriples, count: number) => void {
  const userOf = createLookup(users);
  const movieOf = createLookup(movies.ids);
  return (piece, count) => {
    for (let row = 0; row < count; row++) {
      const user = userOf(piece.users[row]);
      const movie = movieOf(piece.items[row]);
      // Of a damaged copy, which is found out in the end.
      if (user < 0 || movie < 0) continue;
      const value = one + 2 * piece.ratings[row];
      for (let bits = movies.bits[movie]; bits !== 0; bits &= bits - 1)
        sums[(31 - Math.clz32(bits & -bits)) * users.length + user] += value;
    }
  };
}

/** Sums by user and genre over a whole snapshot, from this host's copy of it. */

import { type RawBuilder, sql } from 'kysely';
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
  session: Session,
  { run, settings }: Run,
  { genres, one, signal }: { genres: Readonly<Record<string, string>>; one: number; signal: AbortSignal },
): Promise<boolean> {
  const columns = Object.keys(genres);
  const ids = await readIds(session, run, Object.values(genres));
  const sums = new Float64Array(columns.length * ids.users.length);
  const add = adderOf(sums, { ...ids, one });
  if (!(await eachRatingOfCopy(dependencies, run, settings.evaluation.holdoutSeed, signal, add)))
    return false;
  await keepSums(session, columns, ids.users, sums);
  return true;
}

/** Users and movies of the snapshot, ascending, and of each movie a bit for each of the genres that it has. */
interface SnapshotIds {
  users: Int32Array;
  movies: Int32Array;
  genresOf: Int32Array;
}

async function readIds({ db, client }: Session, run: number, genres: string[]): Promise<SnapshotIds> {
  const counts = await db
    .selectFrom('silver.snapshots')
    .select(['users', 'movies'])
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const bits = genres.map(
    (genre, bit) => sql`case when ${sql.lit(genre)} = any(genre_list) then ${sql.lit(1 << bit)} else 0 end`,
  );
  const read = async (query: RawBuilder<unknown>, columns: Int32Array[]): Promise<void> => {
    await readFixedColumns(copyOut(client, query.compile(db).sql), { columns, filled: 0 });
  };
  const users = new Int32Array(counts.users);
  const movies = new Int32Array(counts.movies);
  const genresOf = new Int32Array(counts.movies);
  await read(sql`select user_id from gold.user_totals where run = ${sql.lit(run)} order by user_id`, [users]);
  await read(
    sql`
      select movie_id, ${sql.join(bits, sql` | `)}
      from silver.movies where run = ${sql.lit(run)} order by movie_id`,
    [movies, genresOf],
  );
  return { users, movies, genresOf };
}

async function keepSums(
  { db, client }: Session,
  genres: string[],
  users: Int32Array,
  sums: Float64Array,
): Promise<void> {
  const columns = sql.join(genres.map((genre) => sql`${sql.ref(genre)} float8`));
  await sql`
    create temporary table ${sql.table(GENRE_SUMS)} (user_id integer, ${columns}) on commit drop`.execute(db);
  const values = genres.map((_, genre): RowColumn => ({
    type: 'float8',
    values: sums.subarray(genre * users.length, (genre + 1) * users.length),
  }));
  await copyIn(
    client,
    { table: GENRE_SUMS, options: 'format binary' },
    encodeRows([{ type: 'int4', values: users }, ...values], users.length),
  );
}

/** Adds ratings to sums, which lie genre by genre. All are whole numbers below 2^53: their order does not matter. */
function adderOf(
  sums: Float64Array,
  { users, movies, genresOf, one }: SnapshotIds & { one: number },
): (piece: RatingTriples, count: number) => void {
  const userOf = createLookup(users);
  const movieOf = createLookup(movies);
  return (piece, count) => {
    for (let row = 0; row < count; row++) {
      const user = userOf(piece.users[row]);
      const movie = movieOf(piece.items[row]);
      // Of a damaged copy, which is found out in the end.
      if (user < 0 || movie < 0) continue;
      const value = one + 2 * piece.ratings[row];
      for (let bits = genresOf[movie]; bits !== 0; bits &= bits - 1)
        sums[(31 - Math.clz32(bits & -bits)) * users.length + user] += value;
    }
  };
}

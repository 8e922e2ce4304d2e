import { createReadStream, existsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sql } from 'kysely';
import { UsageError } from '../config/settings.ts';
import type { Connection } from '../database/connect.ts';
import { copyIn } from '../database/copy.ts';
import type { Session } from '../database/session.ts';
import { type LoadOptions, type Loaded, replaceSource } from './load.ts';

/** A published file and the temporary table that takes it as it is; PostgreSQL itself parses the CSV. */
const RATINGS = {
  file: 'ratings.csv',
  header: 'userId,movieId,rating,timestamp',
  table: 'incoming_ratings',
  columns: ['user_id', 'movie_id', 'rating', 'seconds'],
  // Up to the end of the year 9999.
  types: `user_id integer not null, movie_id integer not null, rating real not null,
    seconds bigint not null check (seconds between 0 and 253402300799)`,
} as const;

const MOVIES = {
  file: 'movies.csv',
  header: 'movieId,title,genres',
  table: 'incoming_movies',
  columns: ['movie_id', 'title', 'genres'],
  types: 'movie_id integer not null, title text not null, genres text not null',
} as const;

/** What the source is marked with: the folder's name, and its files' sizes to tell one set from another. */
export function describeFolder(path: string): string {
  const sizes = [RATINGS, MOVIES].map(
    ({ file }) => statSync(join(path, file), { throwIfNoEntry: false })?.size ?? 0,
  );
  return `import ${basename(path)} (${sizes.join(' + ')} bytes)`;
}

/**
 * Loads a MovieLens folder (`ratings.csv`, `movies.csv`; ml-latest, 20m, 25m, 32m) by path, streamed.
 * @throws UsageError that names the file, and the line where one is malformed; nothing of the load stays
 */
export async function importMovieLens(
  source: Connection,
  path: string,
  options: LoadOptions = {},
): Promise<Loaded> {
  await checkFolder(path);
  return replaceSource(
    source,
    describeFolder(path),
    async (session) => {
      const movies = await copyFile(session, path, MOVIES, options.signal);
      options.onProgress?.({ what: 'movies', rows: movies, share: 1 });
      await sql`
        insert into movielens.movies (movie_id, title, genres)
        select movie_id, title, genres from incoming_movies`.execute(session.db);
      const ratings = await copyFile(session, path, RATINGS, options.signal);
      options.onProgress?.({ what: 'ratings', rows: ratings, share: 1 });
      await sql`
        insert into movielens.ratings (user_id, movie_id, rating, rating_timestamp)
        select user_id, movie_id, rating, to_timestamp(seconds) at time zone 'UTC' from incoming_ratings`.execute(
        session.db,
      );
      return { ratings, movies };
    },
    options,
  );
}

/**
 * Looks whether a folder is one that can be loaded.
 * @throws UsageError that names the file and what was wrong
 */
export async function checkFolder(path: string): Promise<void> {
  for (const { file, header } of [RATINGS, MOVIES]) await checkFile(join(path, file), header);
}

async function checkFile(path: string, header: string): Promise<void> {
  if (!existsSync(path) || !statSync(path).isFile()) {
    throw new UsageError(
      `${path}: no such file; expected a MovieLens folder with ratings.csv and movies.csv`,
    );
  }
  const file = await open(path);
  try {
    for await (const line of file.readLines()) {
      if (line.trim() === header) return;
      break;
    }
  } finally {
    await file.close();
  }
  throw new UsageError(`${path}, line 1: expected the header ${header}`);
}

async function copyFile(
  { client, db }: Session,
  path: string,
  { file, table, columns, types }: typeof RATINGS | typeof MOVIES,
  signal: AbortSignal | undefined,
): Promise<number> {
  await sql`create temporary table ${sql.table(table)} (${sql.raw(types)}) on commit drop`.execute(db);
  const name = join(path, file);
  try {
    const rows = await copyIn(
      client,
      { table, columns, options: 'format csv, header true' },
      createReadStream(name, { highWaterMark: 1 << 20 }),
      { signal },
    );
    if (rows === 0) throw new UsageError(`${name}: expected rows under its header`);
    return rows;
  } catch (error) {
    const line = /^COPY \w+, line (\d+)/.exec((error as { where?: string }).where ?? '')?.[1];
    if (line === undefined || !(error instanceof Error)) throw error;
    throw new UsageError(`${name}, line ${line}: ${error.message}`);
  }
}

import { sql } from 'kysely';
import { UsageError } from '../config/settings.ts';
import type { Connection } from '../database/connect.ts';
import { copyIn } from '../database/copy.ts';
import type { Session } from '../database/session.ts';
import { lineAt } from './lines.ts';
import { type LoadOptions, type Loaded, replaceSource } from './load.ts';
import { readRatings } from './rating-lines.ts';
import { writeRatings } from './write-ratings.ts';
import { type PublishedFile, type PublishedSet, openSet } from './movielens/open-set.ts';

/** Fields of a published rating. */
const RATING_FIELDS = 4;

/**
 * Looks whether a set is one that can be loaded.
 * @returns what the source is marked with: the set's name, and its files' sizes to tell one edition from another
 * @throws UsageError that names the file and what was wrong
 */
export async function checkMovieLens(path: string): Promise<string> {
  return describeSet(await openChecked(path));
}

async function openChecked(path: string): Promise<PublishedSet> {
  const set = await openSet(path);
  const { ratings, movies, layout } = set;
  if (layout.headers !== null) {
    await checkHeader(ratings, layout.headers.ratings);
    await checkHeader(movies, layout.headers.movies);
  }
  return set;
}

function describeSet({ name, ratings, movies }: PublishedSet): string {
  return `import ${name} (${ratings.bytes} + ${movies.bytes} bytes)`;
}

/**
 * Loads a published MovieLens set, a folder or a zip in any of its layouts, streamed.
 * @throws UsageError that names the file, and the line where one is malformed; nothing of the load stays
 */
export async function importMovieLens(
  source: Connection,
  path: string,
  options: LoadOptions = {},
): Promise<Loaded> {
  const set = await openChecked(path);
  const fill = async (session: Session): Promise<Loaded> => {
    const movies = await loadMovies(session, set, options);
    const ratings = await loadRatings(session, set, options);
    return { ratings, movies };
  };
  return replaceSource(source, describeSet(set), fill, options);
}

async function checkHeader(file: PublishedFile, header: string): Promise<void> {
  for await (const chunk of file.read()) {
    if (lineAt(chunk, 0).toString() === header) return;
    break;
  }
  throw new UsageError(`${file.path}, line 1: expected the header ${header}`);
}

async function loadMovies(
  { client, db }: Session,
  { layout, movies: file }: PublishedSet,
  { signal, onProgress }: LoadOptions,
): Promise<number> {
  // Nulls are none of a published set's: a table that takes none says in which line.
  await sql`
    create temporary table incoming_movies (movie_id integer not null, title text not null, genres text not null)
    on commit drop`.execute(db);
  const columns = ['movie_id', 'title', 'genres'];
  const rows = await copyIn(
    client,
    { table: 'incoming_movies', columns, options: layout.copyOptions },
    layout.copyLines(file.path, file.read()),
    { signal },
  ).catch((error: unknown) => {
    const line = /^COPY \w+, line (\d+)/.exec((error as { where?: string }).where ?? '')?.[1];
    if (line === undefined || !(error instanceof Error)) throw error;
    throw new UsageError(`${file.path}, line ${line}: ${error.message}`);
  });
  if (rows === 0) throw new UsageError(`${file.path}: expected movies, found none`);
  await sql`
    insert into movielens.movies (movie_id, title, genres)
    select movie_id, title, genres from incoming_movies`.execute(db);
  onProgress?.({ what: 'movies', done: rows, share: 1 });
  return rows;
}

async function loadRatings(
  session: Session,
  { ratings: file }: PublishedSet,
  { signal, onProgress }: LoadOptions,
): Promise<number> {
  const { block, fills, position } = readRatings(file.path, file.read(), RATING_FIELDS);
  const shown = async function* (): AsyncGenerator<number> {
    let read = 0;
    for await (const rows of fills) {
      yield rows;
      read += rows;
      onProgress?.({ what: 'ratings', done: read, share: position.bytes / file.bytes });
    }
  };
  return writeRatings(session, block, shown(), signal);
}

/** How the published sets are laid out: which files hold what, and how a movie stands in a line. */

import { isUtf8 } from 'node:buffer';
import { UsageError } from '../../config/settings.ts';
import { linesOf } from '../lines.ts';

/** One of the three ways in which GroupLens has published ratings. */
export interface Layout {
  ratings: string;
  movies: string;
  /** First line of each file, where there are headers. */
  headers: { ratings: string; movies: string } | null;
  /** Options of a COPY that takes what `copyLines` gives. */
  copyOptions: string;
  /** The file of movies for that COPY, line by line; `path` names it. */
  copyLines: (path: string, chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer | string>;
}

/** Of `u.item`, where each is a flag. */
const GENRES = [
  'unknown',
  'Action',
  'Adventure',
  'Animation',
  "Children's",
  'Comedy',
  'Crime',
  'Documentary',
  'Drama',
  'Fantasy',
  'Film-Noir',
  'Horror',
  'Musical',
  'Mystery',
  'Romance',
  'Sci-Fi',
  'Thriller',
  'War',
  'Western',
];
/** Id, title, date, date of the video and address stand before the flags. */
const ITEM_FIELDS = 5 + GENRES.length;
/** As the later sets say it. */
const NO_GENRES = '(no genres listed)';

type MovieFields = [id: string, title: string, genres: string];

export const LAYOUTS: readonly Layout[] = [
  // ml-latest and ml-20m on: PostgreSQL parses quotes and commas itself.
  {
    ratings: 'ratings.csv',
    movies: 'movies.csv',
    headers: { ratings: 'userId,movieId,rating,timestamp', movies: 'movieId,title,genres' },
    copyOptions: 'format csv, header true',
    copyLines: (_path, chunks) => chunks,
  },
  // ml-1m and ml-10m.
  {
    ratings: 'ratings.dat',
    movies: 'movies.dat',
    headers: null,
    copyOptions: 'format text',
    copyLines: (path, chunks) => copyText(path, chunks, 'MovieID::Title::Genres', readDat),
  },
  // ml-100k.
  {
    ratings: 'u.data',
    movies: 'u.item',
    headers: null,
    copyOptions: 'format text',
    copyLines: (path, chunks) =>
      copyText(path, chunks, `${ITEM_FIELDS} fields between |, the last ${GENRES.length} 0 or 1`, readItem),
  },
];

/** A title may hold the separator, an id and genres cannot. */
function readDat(line: string): MovieFields | null {
  const first = line.indexOf('::');
  const last = line.lastIndexOf('::');
  return first === last ? null : [line.slice(0, first), line.slice(first + 2, last), line.slice(last + 2)];
}

function readItem(line: string): MovieFields | null {
  const fields = line.split('|');
  const flags = fields.slice(-GENRES.length);
  if (fields.length !== ITEM_FIELDS || flags.some((flag) => flag !== '0' && flag !== '1')) return null;
  const genres = GENRES.filter((_, at) => flags[at] === '1').join('|');
  return [fields[0], fields[1], genres || NO_GENRES];
}

async function* copyText(
  path: string,
  chunks: AsyncIterable<Buffer>,
  expected: string,
  read: (line: string) => MovieFields | null,
): AsyncGenerator<string> {
  let number = 0;
  for await (const bytes of linesOf(chunks)) {
    number++;
    // ml-1m and ml-100k are in Latin-1, ml-10m is in UTF-8, and Latin-1 beyond ASCII hardly ever reads as UTF-8.
    const line = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
    const fields = read(line);
    if (fields === null || fields.includes(''))
      throw new UsageError(
        `${path}, line ${number}: expected ${expected}, found ${JSON.stringify(line.slice(0, 80))}`,
      );
    yield `${fields.map(escapeText).join('\t')}\n`;
  }
}

/** What COPY's text format would take for a separator or an escape. */
function escapeText(field: string): string {
  return field.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\r', '\\r');
}

/** Small sets in the layouts of the published ones, as folders and as zips. */

import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';

/** Path in the set, and what is in the file. */
export type PublishedFiles = Record<string, string | Buffer>;

/** Title with what separates elsewhere, quotes, and letters beyond ASCII, which `encoding` writes. */
export const TITLES = [
  'Heat, The "Director\'s Cut" (1995)',
  'Misérables, Les (1995)',
  'C:\\Temp: A Film (2001)',
];

const flags = (...set: number[]): string =>
  Array.from({ length: 19 }, (_, at) => (set.includes(at) ? 1 : 0)).join('|');

/** The same four ratings of the same three movies in each layout. */
export const SETS: Record<'csv' | 'dat in UTF-8' | 'dat in Latin-1' | '100k', PublishedFiles> = {
  csv: {
    'ratings.csv':
      'userId,movieId,rating,timestamp\n1,1,4.5,1514764800\n1,3,0.5,0\n2,2,5.0,946684799\n7,1,3.0,1147880044\n',
    'movies.csv': `movieId,title,genres\r\n1,"${TITLES[0].replaceAll('"', '""')}",Action|Crime\r\n2,"${TITLES[1]}",(no genres listed)\r\n3,${TITLES[2]},Drama\r\n`,
    'tags.csv': 'userId,movieId,tag,timestamp\n',
  },
  'dat in UTF-8': dat('utf8'),
  'dat in Latin-1': dat('latin1'),
  '100k': {
    'u.data': '1\t1\t4.5\t1514764800\n1\t3\t0.5\t0\n2\t2\t5\t946684799\n7\t1\t3\t1147880044\n',
    'u.item': Buffer.from(
      `1|${TITLES[0]}|01-Jan-1995||http://us.imdb.com/x|${flags(1, 6)}\n2|${TITLES[1]}|01-Jan-1995|||${flags()}\n3|${TITLES[2]}||||${flags(8)}\n`,
      'latin1',
    ),
    'u1.base': '1\t1\t5\t1\n',
  },
};

function dat(encoding: BufferEncoding): PublishedFiles {
  return {
    'ratings.dat': '1::1::4.5::1514764800\n1::3::0.5::0\n2::2::5::946684799\n7::1::3::1147880044\n',
    'movies.dat': Buffer.from(
      `1::${TITLES[0]}::Action|Crime\n2::${TITLES[1]}::(no genres listed)\n3::${TITLES[2]}::Drama\n`,
      encoding,
    ),
  };
}

export function writeFolder(folder: string, files: PublishedFiles): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** A zip with the files in a folder of its own, as the published ones have it. */
export async function writeZip(path: string, files: PublishedFiles, inner = 'set'): Promise<string> {
  const zip = new ZipFile();
  zip.addEmptyDirectory(inner);
  for (const [name, content] of Object.entries(files))
    zip.addBuffer(Buffer.from(content), `${inner}/${name}`);
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(path));
  return path;
}

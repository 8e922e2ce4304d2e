/** A published set as it lies there: a folder, or the zip as it was downloaded. */

import { createReadStream, existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UsageError } from '../../config/settings.ts';
import { LAYOUTS, type Layout } from './layouts.ts';
import { type ZipEntry, listZip, readZipEntry } from './zip.ts';

/** One of a set's two files. */
export interface PublishedFile {
  /** Names it to people. */
  path: string;
  /** Uncompressed. */
  bytes: number;
  /** Reads it from its beginning, streamed. */
  read: () => AsyncIterable<Buffer>;
}

/** A set that was found. */
export interface PublishedSet {
  /** Of the folder, or of the zip without its ending. */
  name: string;
  layout: Layout;
  ratings: PublishedFile;
  movies: PublishedFile;
}

/** Bytes read at a time. */
const CHUNK = 1 << 18;
const EXPECTED = `expected a MovieLens folder or its zip, with ${LAYOUTS.map(
  ({ ratings, movies }) => `${ratings} and ${movies}`,
).join(', or ')}`;

/**
 * Finds a set by the path of its folder or zip; a zip is read as it is, never unpacked.
 * @throws UsageError where there is none
 */
export async function openSet(path: string): Promise<PublishedSet> {
  if (!existsSync(path)) throw new UsageError(`${path}: no such folder or file; ${EXPECTED}`);
  const find = statSync(path).isDirectory() ? findInFolder(path) : await findInZip(path);
  const layout = LAYOUTS.find((one) => find(one.ratings) !== null && find(one.movies) !== null);
  if (layout === undefined) {
    const half = LAYOUTS.find(({ ratings }) => find(ratings) !== null);
    const missing = half === undefined ? 'no ratings in it' : `no ${half.movies} beside ${half.ratings}`;
    throw new UsageError(`${path}: ${missing}; ${EXPECTED}`);
  }
  const [ratings, movies] = [layout.ratings, layout.movies].map(find) as [PublishedFile, PublishedFile];
  return { name: basename(resolve(path), '.zip'), layout, ratings, movies };
}

/** Finds a file of a set by its name. */
type Find = (file: string) => PublishedFile | null;

function findInFolder(folder: string): Find {
  return (file) => {
    const path = join(folder, file);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() !== true) return null;
    return { path, bytes: found.size, read: () => createReadStream(path, { highWaterMark: CHUNK }) };
  };
}

async function findInZip(path: string): Promise<Find> {
  const entries = await listZip(path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
    throw new UsageError(`${path}: ${why}; ${EXPECTED}`);
  });
  const depth = ({ name }: ZipEntry): number => name.split('/').length;
  // The set's own file is nearer to the top than one of that name in some folder of extras.
  entries.sort((a, b) => depth(a) - depth(b));
  return (file) => {
    const entry = entries.find(({ name }) => basename(name) === file);
    if (entry === undefined) return null;
    return {
      path: `${path}: ${entry.name}`,
      bytes: entry.bytes,
      read: () => readZipEntry(path, entry, CHUNK),
    };
  };
}

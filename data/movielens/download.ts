/** The published sets by name, from their official site, into a folder that keeps them. */

import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LoadOptions } from '../load.ts';

/** Sets with ratings, oldest first. */
export const SET_NAMES = [
  'ml-100k',
  'ml-1m',
  'ml-10m',
  'ml-20m',
  'ml-25m',
  'ml-32m',
  'ml-latest-small',
  'ml-latest',
] as const;
export type SetName = (typeof SET_NAMES)[number];

export const OFFICIAL_SITE = 'https://files.grouplens.org/datasets/movielens/';

export interface DownloadOptions extends LoadOptions {
  /** Where zips are kept. */
  folder: string;
  /** URL of the folder that holds the zips and, beside each, its MD5 checksum. */
  site: string;
}

/** A site that sends nothing for so long has gone. */
const SILENCE_MILLISECONDS = 30_000;
const [OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE] = [200, 206, 416];

/** Where a set is kept. */
export function keptSet(name: SetName, folder: string): string {
  return join(folder, `${name}.zip`);
}

/**
 * The zip of a set, downloaded unless it is kept already. It takes its name only when its checksum is the published
 * one; a download that was cut off goes on where it was.
 * @throws with one sentence that names the set, the site and what it answered
 */
export async function downloadSet(name: SetName, options: DownloadOptions): Promise<string> {
  const { folder, site, signal } = options;
  const target = keptSet(name, folder);
  if (existsSync(target)) return target;
  const url = new URL(`${name}.zip`, site.endsWith('/') ? site : `${site}/`).href;
  mkdirSync(folder, { recursive: true });
  const partial = `${target}.partial`;
  try {
    const published = await readChecksum(`${url}.md5`, signal);
    await fetchInto(partial, url, options);
    const found = await checksumOf(partial);
    if (found !== published) {
      rmSync(partial);
      throw new Error(`its checksum is ${found}, ${published} is published; it was thrown away`);
    }
  } catch (error) {
    signal?.throwIfAborted();
    const next = existsSync(partial)
      ? 'what came is kept, and the next download goes on there'
      : 'a zip that is at hand can be loaded by --data';
    throw new Error(`${name} was not downloaded from ${url}: ${reasonOf(error)}; ${next}`, { cause: error });
  }
  renameSync(partial, target);
  return target;
}

async function readChecksum(url: string, signal: AbortSignal | undefined): Promise<string> {
  const silence = untilSilent(signal);
  try {
    const response = await fetch(url, { signal: silence.signal });
    if (response.status !== OK) throw new Error(`its checksum: ${answerOf(response)}`);
    // As md5sum writes it, or as md5 does: the digest after or before the file's name.
    const digest = /\b[0-9a-f]{32}\b/i.exec(await response.text())?.[0];
    if (digest === undefined) throw new Error(`its checksum: no MD5 in ${url}`);
    return digest.toLowerCase();
  } finally {
    silence.end();
  }
}

/** Appends to what an earlier download has left, where the site can go on from there. */
async function fetchInto(
  partial: string,
  url: string,
  { signal, onProgress }: DownloadOptions,
): Promise<void> {
  const kept = statSync(partial, { throwIfNoEntry: false })?.size ?? 0;
  const silence = untilSilent(signal);
  try {
    const headers: Record<string, string> = kept > 0 ? { range: `bytes=${kept}-` } : {};
    const response = await fetch(url, { signal: silence.signal, headers });
    const goesOn = response.status === PARTIAL_CONTENT;
    // All of it is there already, or it is of another file: the checksum says which.
    if (kept > 0 && response.status === RANGE_NOT_SATISFIABLE) return await response.body?.cancel();
    if ((!goesOn && response.status !== OK) || response.body === null) throw new Error(answerOf(response));
    let bytes = goesOn ? kept : 0;
    const total = bytes + Number(response.headers.get('content-length'));
    const counted = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        silence.heard();
        bytes += chunk.length;
        onProgress?.({ what: 'zip', done: bytes, share: total > 0 ? bytes / total : 0 });
        yield chunk;
      }
    };
    await pipeline(
      Readable.fromWeb(response.body),
      counted,
      createWriteStream(partial, { flags: goesOn ? 'a' : 'w' }),
    );
  } finally {
    silence.end();
  }
}

async function checksumOf(path: string): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function answerOf({ status, statusText }: Response): string {
  return `the site answered ${status} ${statusText}`.trim();
}

/** What failed beneath "fetch failed"; of a host with several addresses, at the first. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}

/** A signal that aborts with `signal`, or when nothing was heard for too long. */
function untilSilent(signal: AbortSignal | undefined): {
  signal: AbortSignal;
  heard: () => void;
  end: () => void;
} {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new Error(`nothing came for ${SILENCE_MILLISECONDS / 1000} s`));
  }, SILENCE_MILLISECONDS);
  return {
    signal: signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]),
    heard: () => void timer.refresh(),
    end: () => clearTimeout(timer),
  };
}

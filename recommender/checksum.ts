import type { RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';

/**
 * Checksums of sets of ratings, one each for the rows before and from `border` on, whatever their order, as 16
 * hexadecimal digits: two sums of 32-bit hashes of each rating (Bellare and Micciancio 1997, "A New Paradigm for
 * Collision-Free Hashing", AdHash), for finding damage, not forgery. On a thread, which needs columns in shared memory.
 */
export async function checksumRatings(
  { users, items, ratings }: RatingTriples,
  border: number,
  signal?: AbortSignal,
): Promise<[string, string]> {
  const task: ChecksumTask = { users, items, ratings, border };
  const [sums] = await runThreads<[string, string]>('checksum', task, { threads: 1, signal });
  return sums;
}

interface ChecksumTask extends RatingTriples {
  border: number;
}

/** The work of `checksumRatings`, on the thread. */
export function sumsOfHashes({ border, ...columns }: ChecksumTask): [string, string] {
  return [sumOfHashes(columns, 0, border), sumOfHashes(columns, border, columns.users.length)];
}

function sumOfHashes({ users, items, ratings }: RatingTriples, from: number, to: number): string {
  const bits = new Int32Array(ratings.buffer, ratings.byteOffset, ratings.length);
  let first = 0;
  let second = 0;
  for (let row = from; row < to; row++) {
    const hash = mix(mix(mix(0x9747b28c ^ users[row]) ^ items[row]) ^ bits[row]);
    first = (first + hash) | 0;
    second = (second + mix(hash ^ 0x5bd1e995)) | 0;
  }
  return toHex(first) + toHex(second);
}

/** The checksum of so many `rows` from the first one on, here and now: for few. */
export function checksumOfRows(ratings: RatingTriples, rows: number): string {
  return sumOfHashes(ratings, 0, rows);
}

/** The checksum of a set that two disjoint ones make up. */
export function joinChecksums(one: string, other: string): string {
  const half = (from: number): string =>
    toHex(Number.parseInt(one.slice(from, from + 8), 16) + Number.parseInt(other.slice(from, from + 8), 16));
  return half(0) + half(8);
}

function toHex(sum: number): string {
  return (sum >>> 0).toString(16).padStart(8, '0');
}

/** Finaliser of MurmurHash3 (Appleby 2011). */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

import type { RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';

/**
 * Checksum of a set of ratings, whatever their order, as 16 hexadecimal digits: two sums of 32-bit hashes of each rating
 * (Bellare and Micciancio 1997, "A New Paradigm for Collision-Free Hashing", AdHash), for finding damage, not forgery.
 * On a thread, which needs columns in shared memory.
 */
export async function checksumRatings(
  { users, items, ratings }: RatingTriples,
  [from, to]: [number, number],
  signal?: AbortSignal,
): Promise<string> {
  const task: RatingTriples = {
    users: users.subarray(from, to),
    items: items.subarray(from, to),
    ratings: ratings.subarray(from, to),
  };
  const [sum] = await runThreads<string>('checksum', task, { threads: 1, signal });
  return sum;
}

/** The work of `checksumRatings`, on the thread. */
export function sumOfHashes({ users, items, ratings }: RatingTriples): string {
  const bits = new Int32Array(ratings.buffer, ratings.byteOffset, ratings.length);
  let first = 0;
  let second = 0;
  for (let row = 0; row < users.length; row++) {
    const hash = mix(mix(mix(0x9747b28c ^ users[row]) ^ items[row]) ^ bits[row]);
    first = (first + hash) | 0;
    second = (second + mix(hash ^ 0x5bd1e995)) | 0;
  }
  const hex = (sum: number): string => (sum >>> 0).toString(16).padStart(8, '0');
  return hex(first) + hex(second);
}

/** Finaliser of MurmurHash3 (Appleby 2011). */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The stable hashes of the contract: CRC-32 (IEEE 802.3, as zlib) of short ASCII texts. */

import type { RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const COLON = 58;
const MINUS = 45;
const ZERO = 48;
const digits = new Uint8Array(10);

function addByte(crc: number, byte: number): number {
  return TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
}

/** Adds the decimal text of a 32-bit integer without making a string: a night hashes every pair. */
function addDecimal(crc: number, value: number): number {
  if (value < 0) crc = addByte(crc, MINUS);
  let rest = Math.abs(value);
  let length = 0;
  do {
    digits[length++] = rest % 10;
    rest = Math.trunc(rest / 10);
  } while (rest > 0);
  while (length > 0) crc = addByte(crc, ZERO + digits[--length]);
  return crc;
}

/** CRC-32 of an ASCII text, unsigned. */
export function crc32OfText(text: string): number {
  let crc = -1;
  for (let at = 0; at < text.length; at++) crc = addByte(crc, text.charCodeAt(at));
  return ~crc >>> 0;
}

/** CRC-32 of "user:movie:seed", unsigned; the pair is held out where it is a multiple of 5. */
export function pairHash(user: number, movie: number, seed: number): number {
  return finishHash(hashUser(user), movie, seed);
}

/** Of "user:". */
function hashUser(user: number): number {
  return addByte(addDecimal(-1, user), COLON);
}

function finishHash(ofUser: number, movie: number, seed: number): number {
  return ~addDecimal(addByte(addDecimal(ofUser, movie), COLON), seed) >>> 0;
}

/** Movies up to this id have their part of a hash kept. */
const KEPT_MOVIES = 1 << 20;

/**
 * `finishHash` of many pairs. CRC-32 is linear: the hash of a text is that of its end alone, exclusive or what becomes of the state
 * before it when as many zeros follow (Kounavis and Berry 2005, "A Systematic Approach to Building High Performance
 * Software-Based CRC Generators"). The one is the same for all users of a movie, the other comes from a table for each byte
 * of the state.
 */
function createPairHash(seed: number): (ofUser: number, movie: number) => number {
  const ends = new Int32Array(KEPT_MOVIES);
  const lengths = new Uint8Array(KEPT_MOVIES);
  /** By length of an end. */
  const shifts: Int32Array[] = [];
  const keep = (movie: number): void => {
    const { length } = `${movie}:${seed}`;
    ends[movie] = addDecimal(addByte(addDecimal(0, movie), COLON), seed);
    lengths[movie] = length;
    shifts[length] ??= shiftsOf(length);
  };
  return (ofUser, movie) => {
    if (movie < 0 || movie >= KEPT_MOVIES) return finishHash(ofUser, movie, seed);
    if (lengths[movie] === 0) keep(movie);
    const shift = shifts[lengths[movie]];
    const shifted =
      shift[ofUser & 0xff] ^
      shift[256 | ((ofUser >>> 8) & 0xff)] ^
      shift[512 | ((ofUser >>> 16) & 0xff)] ^
      shift[768 | (ofUser >>> 24)];
    return ~(shifted ^ ends[movie]) >>> 0;
  };
}

/** What becomes of each byte of a state, the lowest first, when `length` zeros follow. */
function shiftsOf(length: number): Int32Array {
  return Int32Array.from({ length: 4 * 256 }, (_, at) => {
    let state = (at & 0xff) << (8 * (at >>> 8));
    for (let zero = 0; zero < length; zero++) state = addByte(state, 0);
    return state;
  });
}

const HOLDOUT_MODULUS = 5;

export interface SplitTask {
  columns: RatingTriples;
  seed: number;
}

/**
 * The stable split, in place: 20% holdout by hash, so that a pair held out tonight is held out tomorrow and two nights'
 * models compare on the same holdout. On a thread, which needs columns in shared memory.
 * @returns the number of train rows, which come first
 */
export async function splitRatings(
  { users, items, ratings }: RatingTriples,
  seed: number,
  signal?: AbortSignal,
): Promise<number> {
  const task: SplitTask = { columns: { users, items, ratings }, seed };
  const [train] = await runThreads<number>('split', task, { threads: 1, signal });
  return train;
}

/** The work of `splitRatings`, on the thread. */
export function splitColumns({ columns: { users, items, ratings }, seed }: SplitTask): number {
  const hash = createPairHash(seed);
  // Ratings of a user often lie together: their user's part is hashed once for all of them, from either end.
  const holds = (): ((row: number) => boolean) => {
    let user: number | undefined;
    let ofUser = 0;
    return (row) => {
      if (users[row] !== user) {
        user = users[row];
        ofUser = hashUser(user);
      }
      return hash(ofUser, items[row]) % HOLDOUT_MODULUS === 0;
    };
  };
  const [isHeld, isHeldAtEnd] = [holds(), holds()];
  let train = 0;
  let end = users.length;
  for (;;) {
    while (train < end && !isHeld(train)) train++;
    while (train < end && isHeldAtEnd(end - 1)) end--;
    if (train >= end) return train;
    end--;
    for (const column of [users, items, ratings]) {
      const held = column[train];
      column[train] = column[end];
      column[end] = held;
    }
    train++;
  }
}

/** Group A where CRC-32 of the user's decimal text (and a salt, for further experiments) is even, else B. */
export function abGroup(user: number, salt?: string): 'A' | 'B' {
  return userGroup(user, 2, salt) === 0 ? 'A' : 'B';
}

/** Number from 0 of one of several groups: the remainder of the same hash. */
export function userGroup(user: number, groups: number, salt?: string): number {
  return crc32OfText(salt === undefined ? String(user) : `${user}:${salt}`) % groups;
}

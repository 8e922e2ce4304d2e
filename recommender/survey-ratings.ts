/** What ratings there are, found by all threads: each looks at its slice of the rows. */

import type { RatingTriples } from './ratings.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { barrier } from './threads/sharing.ts';

export interface Survey {
  /** The distinct ratings, ascending, where there are few enough for codes. */
  scale: Float32Array | null;
  /** What stands in `values` for a rating. */
  code: (rating: number) => number;
}

const LARGEST_SCALE = 256;

/** Below this, halves of whole numbers are known by their place in a table. */
const HALVES = 512;

/** What a thread has seen of its slice, in memory that all of them read. */
interface Findings {
  /** Rows up to and with the first that is not finite, from the first of all; 0 where all are. */
  refused: Uint32Array;
  /** 1 for twice each rating that is a half. */
  halves: Uint8Array;
  /** How many others, and which: one more than a scale takes at most. */
  count: Uint32Array;
  others: Float32Array;
}

const FINDINGS_BYTES = 8 + HALVES + 4 * (LARGEST_SCALE + 1);

/** Memory for the findings of so many threads. */
export function surveyMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * FINDINGS_BYTES);
}

function findingsOf(memory: SharedArrayBuffer, thread: number): Findings {
  const at = thread * FINDINGS_BYTES;
  return {
    refused: new Uint32Array(memory, at, 1),
    count: new Uint32Array(memory, at + 4, 1),
    halves: new Uint8Array(memory, at + 8, HALVES),
    others: new Float32Array(memory, at + 8 + HALVES, LARGEST_SCALE + 1),
  };
}

/**
 * Looks at every rating once: finite, and how many distinct ones. Every thread is given the same, whatever their number.
 * @throws where a rating is not finite: about the first of them
 */
export function surveyRatings(
  triples: RatingTriples,
  memory: SharedArrayBuffer,
  context: ThreadContext,
): Survey {
  const { thread, threads } = context;
  const rows = triples.ratings.length;
  const border = (of: number): number => Math.floor((rows * of) / threads);
  surveySlice(triples.ratings, border(thread), border(thread + 1), findingsOf(memory, thread));
  barrier(context);
  const all = Array.from({ length: threads }, (_, of) => findingsOf(memory, of));
  assertFinite(triples, all);
  return codesOf(scaleOf(all));
}

/** Twice a rating that is one of those, as stars are; -1 of any other. */
function halves(rating: number): number {
  const twice = rating * 2;
  return twice >= 0 && twice < HALVES && twice === Math.trunc(twice) ? twice : -1;
}

function surveySlice(ratings: Float32Array, from: number, to: number, findings: Findings): void {
  const seen = new Uint8Array(HALVES);
  const others = new Set<number>();
  for (let row = from; row < to; row++) {
    const rating = ratings[row];
    const twice = halves(rating);
    if (twice >= 0) {
      seen[twice] = 1;
      continue;
    }
    if (!Number.isFinite(rating)) {
      findings.refused[0] = row + 1;
      return;
    }
    if (others.size <= LARGEST_SCALE) others.add(rating);
  }
  findings.halves.set(seen);
  findings.others.set([...others]);
  findings.count[0] = others.size;
}

/** Slices are in the order of rows: the first thread's is the first. */
function assertFinite({ users, items, ratings }: RatingTriples, all: Findings[]): void {
  const found = all.find(({ refused }) => refused[0] > 0);
  if (found === undefined) return;
  const row = found.refused[0] - 1;
  throw new Error(
    `rating of user ${users[row]} for item ${items[row]} is ${ratings[row]}, expected a finite number`,
  );
}

function scaleOf(all: Findings[]): Float32Array | null {
  const distinct = new Set<number>();
  for (const { halves, count, others } of all) {
    halves.forEach((is, twice) => is === 1 && distinct.add(twice / 2));
    for (const rating of others.subarray(0, count[0])) distinct.add(rating);
  }
  return distinct.size > LARGEST_SCALE ? null : Float32Array.from(distinct).sort();
}

function codesOf(scale: Float32Array | null): Survey {
  if (scale === null) return { scale, code: (rating) => rating };
  const codes = new Map<number, number>();
  const table = new Uint8Array(HALVES);
  scale.forEach((rating, code) => {
    codes.set(rating, code);
    if (halves(rating) >= 0) table[rating * 2] = code;
  });
  return {
    scale,
    code: scale.every((rating) => halves(rating) >= 0)
      ? (rating) => table[rating * 2]
      : (rating) => codes.get(rating) ?? 0,
  };
}

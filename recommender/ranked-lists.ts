/** Ranked lists of equal capacity, one a row, as flat arrays. */

export interface RankedLists {
  /** Ids that the lists belong to. */
  ids: Int32Array;
  /** Entries of each list; the rest of its places is unused. */
  counts: Int32Array;
  /** Row-major, `capacity` places a list, best first. */
  capacity: number;
  items: Int32Array;
  scores: Float64Array;
}

/** Keeps the best `capacity` of what it is offered: higher scores first, ties to the smaller index. */
export class TopList {
  readonly indices: Int32Array;
  readonly scores: Float64Array;
  size = 0;

  constructor(capacity: number) {
    this.indices = new Int32Array(capacity);
    this.scores = new Float64Array(capacity);
  }

  clear(): void {
    this.size = 0;
  }

  /** Offer indices in ascending order: then of equal scores the smaller index is kept and stands first. */
  offer(index: number, score: number): void {
    const { indices, scores } = this;
    const capacity = indices.length;
    if (this.size === capacity && (capacity === 0 || score <= scores[capacity - 1])) return;
    let at = this.size < capacity ? this.size++ : capacity - 1;
    while (at > 0 && scores[at - 1] < score) {
      indices[at] = indices[at - 1];
      scores[at] = scores[at - 1];
      at--;
    }
    indices[at] = index;
    scores[at] = score;
  }
}

/** Puts the lists of threads that took row ranges in order behind one another. */
export function concatenateLists(parts: RankedLists[]): RankedLists {
  return {
    ids: concatenate(
      Int32Array,
      parts.map(({ ids }) => ids),
    ),
    counts: concatenate(
      Int32Array,
      parts.map(({ counts }) => counts),
    ),
    capacity: parts[0].capacity,
    items: concatenate(
      Int32Array,
      parts.map(({ items }) => items),
    ),
    scores: concatenate(
      Float64Array,
      parts.map(({ scores }) => scores),
    ),
  };
}

export function concatenate<T extends Int32Array | Float64Array>(
  type: new (length: number) => T,
  parts: T[],
): T {
  const whole = new type(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The range of `rows` that a thread takes, by equal numbers. */
export function threadRange(rows: number, thread: number, threads: number): [number, number] {
  return [Math.floor((rows * thread) / threads), Math.floor((rows * (thread + 1)) / threads)];
}

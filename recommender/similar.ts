import { type Model, score } from './model.ts';
import { type RankedLists, TopList, concatenateLists, threadRange } from './ranked-lists.ts';
import type { RatingMatrix } from './ratings.ts';
import { listableItems } from './topn.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';

export interface SimilarOptions {
  /** Entries of a list. */
  n: number;
  ratings: RatingMatrix;
  /** Least number of ratings for an item to stand in another's list; every item has a list of its own. */
  minimumRatings: number;
  threads: number;
  signal?: AbortSignal;
}

interface SimilarTask extends Omit<SimilarOptions, 'threads' | 'signal'> {
  model: Model;
}

/**
 * For each item the others with the largest cosine of their factors. Never itself; ties to the smaller id; an
 * item whose factors are all zero is similar to none.
 */
export async function similarItems(model: Model, options: SimilarOptions): Promise<RankedLists> {
  const { threads, signal, ...rest } = options;
  return concatenateLists(await runThreads<RankedLists>('similar', { ...rest, model }, { threads, signal }));
}

/** A thread's share of `similarItems`: a range of items. */
export function rankSimilar(
  { model, ratings, n, minimumRatings }: SimilarTask,
  context: ThreadContext,
): RankedLists {
  const { itemIds, itemFactors, rank } = model;
  const [from, to] = threadRange(itemIds.length, context.thread, context.threads);
  const lengths = Float64Array.from(itemIds, (_, item) =>
    Math.sqrt(score(itemFactors, item, itemFactors, item, rank)),
  );
  const candidates = listableItems(ratings, minimumRatings).filter((item) => lengths[item] > 0);
  const lists: RankedLists = {
    ids: itemIds.slice(from, to),
    counts: new Int32Array(to - from),
    capacity: n,
    items: new Int32Array((to - from) * n),
    scores: new Float64Array((to - from) * n),
  };
  const list = new TopList(n);
  for (let item = from; item < to; item++) {
    list.clear();
    if (lengths[item] > 0) {
      for (const other of candidates) {
        if (other === item) continue;
        const cosine = score(itemFactors, item, itemFactors, other, rank) / (lengths[item] * lengths[other]);
        // Rounding may carry a cosine past its bounds.
        list.offer(other, Math.max(-1, Math.min(1, cosine)));
      }
    }
    const row = item - from;
    lists.counts[row] = list.size;
    for (let at = 0; at < list.size; at++) {
      lists.items[row * n + at] = itemIds[list.indices[at]];
      lists.scores[row * n + at] = list.scores[at];
    }
  }
  return lists;
}

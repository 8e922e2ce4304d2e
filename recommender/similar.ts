import type { Model } from './model.ts';
import { rankItems } from './rank.ts';
import type { RankedLists } from './ranked-lists.ts';
import type { RatingMatrix } from './ratings.ts';
import { listableItems } from './topn.ts';

export interface SimilarOptions {
  /** Entries of a list. */
  n: number;
  ratings: RatingMatrix;
  /** Least number of ratings for an item to stand in another's list; every item has a list of its own. */
  minimumRatings: number;
  /** Ids of items that may stand in none. */
  excluded?: ReadonlySet<number>;
  threads: number;
  signal?: AbortSignal;
}

/**
 * For each item the others with the largest cosine of their factors, biases left out. Never itself; ties to the smaller
 * id; an item whose factors are all zero is similar to none.
 */
export function similarItems(model: Model, options: SimilarOptions): Promise<RankedLists> {
  const { n, ratings, threads, signal } = options;
  const { configuration, itemFactors, itemIds, rank } = model;
  return rankItems({
    workspace: ratings.workspace,
    queries: itemFactors,
    items: itemFactors,
    rank,
    dimensions: configuration.family === 'popular' ? rank : configuration.rank,
    rows: Uint32Array.from(itemIds.keys()),
    candidates: listableItems(ratings, options),
    n,
    leaveOut: null,
    cosine: true,
    rowIds: itemIds,
    itemIds,
    threads,
    signal,
  });
}

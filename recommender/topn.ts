import type { Model } from './model.ts';
import { rankItems } from './rank.ts';
import type { RankedLists } from './ranked-lists.ts';
import type { RatingMatrix } from './ratings.ts';

export interface TopNOptions {
  /** Entries of a list. */
  n: number;
  /** The ratings that the model was trained on: they decide what is rated and how often. */
  ratings: RatingMatrix;
  /** Leave out what the user has rated. */
  excludeRated: boolean;
  /** Least number of ratings for an item to be listed. */
  minimumRatings: number;
  /** Ids of items that alone may be listed, and of items that may not. */
  allowed?: ReadonlySet<number>;
  excluded?: ReadonlySet<number>;
  /** Rows of users: a range whose end is excluded, or some of them in any order; all by default. */
  users?: [number, number] | Uint32Array;
  threads: number;
  signal?: AbortSignal;
  /** Told how many users are about done. */
  onProgress?: (users: number) => void;
}

/**
 * The exact best items for each user: no approximation, ties to the smaller item id. Lists are shorter than `n`
 * only where fewer items remain.
 */
export function recommendTopN(model: Model, options: TopNOptions): Promise<RankedLists> {
  const { ratings, n, excludeRated, threads, signal, onProgress } = options;
  if (model.userIds.length !== ratings.userIds.length || model.itemIds.length !== ratings.itemIds.length)
    return Promise.reject(new Error('the model was not trained on these ratings: other users or items'));
  return rankItems({
    workspace: ratings.workspace,
    queries: model.userFactors,
    items: model.itemFactors,
    rank: model.rank,
    dimensions: model.rank,
    rows: rowsOf(options.users ?? [0, model.userIds.length]),
    candidates: listableItems(ratings, options),
    n,
    leaveOut: excludeRated ? ratings.byUser : null,
    cosine: false,
    rowIds: model.userIds,
    itemIds: model.itemIds,
    threads,
    signal,
    onProgress,
  });
}

function rowsOf(users: [number, number] | Uint32Array): Uint32Array {
  if (users instanceof Uint32Array) return users;
  const [from, to] = users;
  return Uint32Array.from({ length: to - from }, (_, at) => from + at);
}

/** Items that may stand in a list, as ascending indices. */
export function listableItems(
  { itemIds, byItem: { starts } }: RatingMatrix,
  { minimumRatings, allowed, excluded }: Pick<TopNOptions, 'minimumRatings' | 'allowed' | 'excluded'>,
): Uint32Array {
  return Uint32Array.from(itemIds.keys()).filter(
    (item) =>
      starts[item + 1] - starts[item] >= minimumRatings &&
      (allowed?.has(itemIds[item]) ?? true) &&
      !(excluded?.has(itemIds[item]) ?? false),
  );
}

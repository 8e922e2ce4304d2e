import { type Model, score } from './model.ts';
import { type RankedLists, TopList, concatenateLists, threadRange } from './ranked-lists.ts';
import type { RatingMatrix } from './ratings.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';

export interface TopNOptions {
  /** Entries of a list. */
  n: number;
  /** The ratings that the model was trained on: they decide what is rated and how often. */
  ratings: RatingMatrix;
  /** Leave out what the user has rated. */
  excludeRated: boolean;
  /** Least number of ratings for an item to be listed. */
  minimumRatings: number;
  /** Rows of users, the end excluded; all by default. */
  users?: [number, number];
  threads: number;
  signal?: AbortSignal;
}

interface TopNTask extends Omit<TopNOptions, 'threads' | 'signal' | 'users'> {
  model: Model;
  users: [number, number];
}

/**
 * The exact best items for each user: no approximation, ties to the smaller item id. Lists are shorter than `n`
 * only where fewer items remain.
 */
export async function recommendTopN(model: Model, options: TopNOptions): Promise<RankedLists> {
  const { threads, signal, ...rest } = options;
  const users = options.users ?? [0, model.userIds.length];
  return concatenateLists(
    await runThreads<RankedLists>('topn', { ...rest, users, model }, { threads, signal }),
  );
}

/** Items that are rated often enough, as ascending indices. */
export function listableItems({ itemIds, byItem }: RatingMatrix, minimumRatings: number): Int32Array {
  return Int32Array.from(itemIds.keys()).filter(
    (item) => byItem.starts[item + 1] - byItem.starts[item] >= minimumRatings,
  );
}

/** Ranks one user's items after another into a reused list. */
export function createRanker(
  model: Model,
  ratings: RatingMatrix,
  minimumRatings: number,
  excludeRated: boolean,
) {
  const { userFactors, itemFactors, rank } = model;
  const items = listableItems(ratings, minimumRatings);
  // Which user an item was last seen to be rated by: cleared by moving on to the next user.
  const ratedBy = new Int32Array(model.itemIds.length).fill(-1);
  return (user: number, list: TopList): void => {
    const { starts, columns } = ratings.byUser;
    if (excludeRated) for (let at = starts[user]; at < starts[user + 1]; at++) ratedBy[columns[at]] = user;
    list.clear();
    for (const item of items) {
      if (ratedBy[item] !== user) list.offer(item, score(userFactors, user, itemFactors, item, rank));
    }
  };
}

/** A thread's share of `recommendTopN`: a range of users. */
export function rankUsers(task: TopNTask, { thread, threads }: ThreadContext): RankedLists {
  const { model, ratings, n, minimumRatings, excludeRated, users } = task;
  const [from, to] = threadRange(users[1] - users[0], thread, threads).map((row) => row + users[0]);
  const lists: RankedLists = {
    ids: model.userIds.slice(from, to),
    counts: new Int32Array(to - from),
    capacity: n,
    items: new Int32Array((to - from) * n),
    scores: new Float64Array((to - from) * n),
  };
  const rankItems = createRanker(model, ratings, minimumRatings, excludeRated);
  const list = new TopList(n);
  for (let user = from; user < to; user++) {
    rankItems(user, list);
    const row = user - from;
    lists.counts[row] = list.size;
    for (let at = 0; at < list.size; at++) {
      lists.items[row * n + at] = model.itemIds[list.indices[at]];
      lists.scores[row * n + at] = list.scores[at];
    }
  }
  return lists;
}

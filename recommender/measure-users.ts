/**
 * Metrics of each user of a holdout. Precision, recall and average precision at k after Manning, Raghavan and Schütze
 * (2008), chapter 8; NDCG after Järvelin and Kekäläinen (2002), binary gains; popularity of what is listed after Yin,
 * Cui, Li, Yao and Chen (2012), "Challenging the Long Tail Recommendation".
 */

import { type GroupedHoldout, isRelevant } from './holdout.ts';
import { createLookup } from './ids.ts';
import { sharedArray } from './memory.ts';
import { type Model, score } from './model.ts';
import { type RankedLists, threadRange } from './ranked-lists.ts';
import type { ThreadContext } from './threads/protocol.ts';

/** One value a user: users of the holdout whom the model knows, ascending. NaN where there is none to give. */
export interface UserValues {
  userIds: Int32Array;
  /** Holdout pairs with a prediction, and their summed squared and absolute errors. */
  scored: Int32Array;
  squaredError: Float64Array;
  absoluteError: Float64Array;
  /** Relevant holdout items; those below are NaN where there are none. */
  relevant: Int32Array;
  precision: Float64Array;
  recall: Float64Array;
  ndcg: Float64Array;
  averagePrecision: Float64Array;
  /** Mean number of train ratings of the listed items. */
  popularity: Float64Array;
}

/** All that is large in shared memory: threads see it and have no copies. */
export interface MeasureTask {
  model: Pick<Model, 'userFactors' | 'itemFactors' | 'itemIds' | 'rank'>;
  grouped: GroupedHoldout;
  /** A list for each user with a relevant item, in the order of `grouped.users`. */
  lists: Pick<RankedLists, 'counts' | 'capacity' | 'items'>;
  /** Places of a list that are measured. */
  k: number;
  /** Train ratings of each item of the model. */
  itemCounts: Uint32Array;
  trainMean: number;
  /** What is found, by user. */
  byUser: UserValues;
  /** 1 for each item that is in a list. */
  isListed: Uint8Array;
}

/** Pairs without a prediction, and the summed errors of the train mean on them. */
export interface DroppedPairs {
  dropped: number;
  fallbackSquared: number;
  fallbackAbsolute: number;
}

/**
 * One thread's part of an evaluation: its own users. What is summed over all pairs is one thread's work, because sums depend
 * on their order: the first gives it.
 */
export function measureUsers(task: MeasureTask, { thread, threads }: ThreadContext): DroppedPairs | null {
  const users = threadRange(task.grouped.users.length, thread, threads);
  measureErrors(task, users);
  measureLists(task, users);
  return thread === 0 ? sumDropped(task) : null;
}

/** Room for what is found of so many users. */
export function createUserValues(
  model: Pick<Model, 'userIds'>,
  { users, relevant }: GroupedHoldout,
): UserValues {
  const floats = (): Float64Array => sharedArray(Float64Array, users.length);
  return {
    userIds: Int32Array.from(users, (user) => model.userIds[user]),
    scored: sharedArray(Int32Array, users.length),
    squaredError: floats(),
    absoluteError: floats(),
    relevant,
    precision: floats().fill(NaN),
    recall: floats().fill(NaN),
    ndcg: floats().fill(NaN),
    averagePrecision: floats().fill(NaN),
    popularity: floats().fill(NaN),
  };
}

function sumDropped({ grouped, trainMean }: MeasureTask): DroppedPairs {
  const { items, ratings, unknown } = grouped;
  const sums: DroppedPairs = { dropped: 0, fallbackSquared: 0, fallbackAbsolute: 0 };
  const drop = (rating: number): void => {
    sums.dropped++;
    sums.fallbackSquared += (rating - trainMean) ** 2;
    sums.fallbackAbsolute += Math.abs(rating - trainMean);
  };
  unknown.forEach(drop);
  for (let pair = 0; pair < items.length; pair++) if (items[pair] < 0) drop(ratings[pair]);
  return sums;
}

function measureErrors({ model, grouped, byUser }: MeasureTask, [first, end]: [number, number]): void {
  const { users, starts, items, ratings } = grouped;
  for (let at = first; at < end; at++) {
    for (let pair = starts[at]; pair < starts[at + 1]; pair++) {
      if (items[pair] < 0) continue;
      const predicted = score(model.userFactors, users[at], model.itemFactors, items[pair], model.rank);
      const error = ratings[pair] - predicted;
      byUser.scored[at]++;
      byUser.squaredError[at] += error * error;
      byUser.absoluteError[at] += Math.abs(error);
    }
  }
}

function measureLists(
  { model, grouped, lists, k, itemCounts, byUser, isListed }: MeasureTask,
  [first, end]: [number, number],
): void {
  const { starts, items, ratings, relevant } = grouped;
  const itemOf = createLookup(model.itemIds);
  // Which user an item is relevant for: cleared by moving on to the next one.
  const relevantFor = new Int32Array(model.itemIds.length).fill(-1);
  let list = 0;
  for (let at = 0; at < first; at++) if (relevant[at] > 0) list++;
  for (let at = first; at < end; at++) {
    if (relevant[at] === 0) continue;
    for (let pair = starts[at]; pair < starts[at + 1]; pair++) {
      if (items[pair] >= 0 && isRelevant(ratings[pair])) relevantFor[items[pair]] = at;
    }
    const places = Math.min(k, lists.counts[list]);
    let hits = 0;
    let gain = 0;
    let precisions = 0;
    let popularity = 0;
    for (let place = 0; place < places; place++) {
      const item = itemOf(lists.items[list * lists.capacity + place]);
      popularity += itemCounts[item];
      isListed[item] = 1;
      if (relevantFor[item] !== at) continue;
      hits++;
      gain += 1 / Math.log2(place + 2);
      precisions += hits / (place + 1);
    }
    const ideal = Math.min(k, relevant[at]);
    let idealGain = 0;
    for (let place = 0; place < ideal; place++) idealGain += 1 / Math.log2(place + 2);
    byUser.precision[at] = hits / k;
    byUser.recall[at] = hits / relevant[at];
    byUser.ndcg[at] = gain / idealGain;
    byUser.averagePrecision[at] = precisions / ideal;
    byUser.popularity[at] = places === 0 ? 0 : popularity / places;
    list++;
  }
}

/**
 * Metrics of each user of a holdout. Precision, recall and average precision at k after Manning, Raghavan and Schütze
 * (2008), chapter 8; NDCG after Järvelin and Kekäläinen (2002), binary gains; popularity of what is listed after Yin,
 * Cui, Li, Yao and Chen (2012), "Challenging the Long Tail Recommendation".
 */

import { type GroupedHoldout, isRelevant } from './holdout.ts';
import { createLookup } from './ids.ts';
import { type Model, score } from './model.ts';
import type { RankedLists } from './ranked-lists.ts';

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

export interface MeasureTask {
  model: Model;
  grouped: GroupedHoldout;
  /** A list for each user with a relevant item, in the order of `grouped.users`. */
  lists: RankedLists;
  /** Places of a list that are measured. */
  k: number;
  /** Train ratings of each item of the model. */
  itemCounts: Uint32Array;
  trainMean: number;
}

export interface Measured {
  byUser: UserValues;
  /** Distinct items in the lists. */
  listed: number;
  dropped: number;
  /** Summed errors of the train mean on the dropped pairs. */
  fallbackSquared: number;
  fallbackAbsolute: number;
}

export function measureUsers(task: MeasureTask): Measured {
  const { model, grouped, trainMean } = task;
  const { users, starts, items, ratings, relevant } = grouped;
  const missing = (): Float64Array => new Float64Array(users.length).fill(NaN);
  const values: UserValues = {
    userIds: Int32Array.from(users, (user) => model.userIds[user]),
    scored: new Int32Array(users.length),
    squaredError: new Float64Array(users.length),
    absoluteError: new Float64Array(users.length),
    relevant,
    precision: missing(),
    recall: missing(),
    ndcg: missing(),
    averagePrecision: missing(),
    popularity: missing(),
  };
  const result: Measured = { byUser: values, listed: 0, dropped: 0, fallbackSquared: 0, fallbackAbsolute: 0 };
  const drop = (rating: number): void => {
    result.dropped++;
    result.fallbackSquared += (rating - trainMean) ** 2;
    result.fallbackAbsolute += Math.abs(rating - trainMean);
  };
  grouped.unknown.forEach(drop);
  for (let at = 0; at < users.length; at++) {
    for (let pair = starts[at]; pair < starts[at + 1]; pair++) {
      if (items[pair] < 0) {
        drop(ratings[pair]);
        continue;
      }
      const predicted = score(model.userFactors, users[at], model.itemFactors, items[pair], model.rank);
      const error = ratings[pair] - predicted;
      values.scored[at]++;
      values.squaredError[at] += error * error;
      values.absoluteError[at] += Math.abs(error);
    }
  }
  measureLists(task, values, result);
  return result;
}

function measureLists(
  { model, grouped, lists, k, itemCounts }: MeasureTask,
  values: UserValues,
  result: Measured,
): void {
  const { users, starts, items, ratings, relevant } = grouped;
  const itemOf = createLookup(model.itemIds);
  const isListed = new Uint8Array(model.itemIds.length);
  // Which user an item is relevant for: cleared by moving on to the next one.
  const relevantFor = new Int32Array(model.itemIds.length).fill(-1);
  for (let at = 0, list = 0; at < users.length; at++) {
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
    values.precision[at] = hits / k;
    values.recall[at] = hits / relevant[at];
    values.ndcg[at] = gain / idealGain;
    values.averagePrecision[at] = precisions / ideal;
    values.popularity[at] = places === 0 ? 0 : popularity / places;
    list++;
  }
  result.listed = isListed.reduce((sum, one) => sum + one, 0);
}

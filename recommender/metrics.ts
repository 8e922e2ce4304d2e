/**
 * Metrics of a model on a holdout that it has not seen. Precision, recall and average precision at k after
 * Manning, Raghavan and Schütze (2008), chapter 8; NDCG after Järvelin and Kekäläinen (2002), binary gains.
 */

import { type Model, score } from './model.ts';
import { TopList, concatenate, threadRange } from './ranked-lists.ts';
import { type RatingMatrix, type RatingTriples, bisect } from './ratings.ts';
import { createRanker } from './topn.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';

/** A holdout rating of at least this is relevant. */
const RELEVANT = 4;

/** One value a user: users of the holdout whom the model knows, ascending. NaN where there is none to give. */
export interface UserValues {
  userIds: Int32Array;
  /** Holdout pairs with a prediction, and their summed squared and absolute errors. */
  scored: Int32Array;
  squaredError: Float64Array;
  absoluteError: Float64Array;
  /** Relevant holdout items; the four below are NaN where there are none. */
  relevant: Int32Array;
  precision: Float64Array;
  recall: Float64Array;
  ndcg: Float64Array;
  averagePrecision: Float64Array;
}

export interface Evaluation {
  /** Over pairs with a prediction; null for families that predict no ratings. */
  rmse: number | null;
  mae: number | null;
  /** Over all pairs, the mean rating of the train part standing in where there is no prediction. */
  rmseWithFallback: number | null;
  maeWithFallback: number | null;
  /** Means over users with a relevant holdout item, train items excluded from their lists. */
  precision: number;
  recall: number;
  ndcg: number;
  map: number;
  /** Distinct items in the lists over items in the train part. */
  coverage: number;
  /** Users behind the ranking means. */
  users: number;
  /** Pairs with a prediction, and pairs dropped because user or item was not in the train part. */
  predictions: number;
  dropped: number;
  byUser: UserValues;
}

export interface EvaluateOptions {
  /** Length of the lists. */
  k: number;
  minimumRatings: number;
  threads: number;
  signal?: AbortSignal;
}

interface EvaluateTask {
  model: Model;
  train: RatingMatrix;
  holdout: RatingTriples;
  k: number;
  minimumRatings: number;
}

interface ThreadEvaluation {
  byUser: UserValues;
  /** 1 for each item that stands in a list. */
  listed: Uint8Array;
  dropped: number;
  /** Summed errors of the train mean on the dropped pairs. */
  fallbackSquared: number;
  fallbackAbsolute: number;
}

/**
 * Measures a model that was trained on `train` only.
 * @throws where a metric is not a number
 */
export async function evaluateModel(
  model: Model,
  train: RatingMatrix,
  holdout: RatingTriples,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { k, minimumRatings, threads, signal } = options;
  const task: EvaluateTask = { model, train, holdout, k, minimumRatings };
  const parts = await runThreads<ThreadEvaluation>('evaluate', task, { threads, signal });
  const evaluation = summarise(parts, model, holdout.users.length);
  for (const [name, value] of Object.entries(evaluation)) {
    if (typeof value === 'number' && Number.isNaN(value)) {
      throw new Error(`metric ${name} of ${model.configuration.family} is not a number`);
    }
  }
  return evaluation;
}

function summarise(parts: ThreadEvaluation[], model: Model, pairs: number): Evaluation {
  const columns = Object.keys(parts[0].byUser) as (keyof UserValues)[];
  const byUser = Object.fromEntries(
    columns.map((column) => {
      const values = parts.map((part) => part.byUser[column]);
      const type = values[0] instanceof Int32Array ? Int32Array : Float64Array;
      return [column, concatenate<Int32Array | Float64Array>(type, values)];
    }),
  ) as unknown as UserValues;
  const total = (values: Iterable<number>): number =>
    Array.from(values).reduce((sum, value) => sum + value, 0);
  const squared = total(byUser.squaredError);
  const absolute = total(byUser.absoluteError);
  const predictions = total(byUser.scored);
  const ranked = byUser.relevant.reduce((count, relevant) => count + (relevant > 0 ? 1 : 0), 0);
  const mean = (values: Float64Array): number =>
    ranked === 0 ? 0 : total(values.filter((value) => !Number.isNaN(value))) / ranked;
  const listed = new Uint8Array(model.itemIds.length);
  for (const part of parts)
    for (let item = 0; item < listed.length; item++) listed[item] |= part.listed[item];
  const predictsRatings = model.configuration.family !== 'popular' && predictions > 0;
  return {
    rmse: predictsRatings ? Math.sqrt(squared / predictions) : null,
    mae: predictsRatings ? absolute / predictions : null,
    rmseWithFallback: predictsRatings
      ? Math.sqrt((squared + total(parts.map((part) => part.fallbackSquared))) / pairs)
      : null,
    maeWithFallback: predictsRatings
      ? (absolute + total(parts.map((part) => part.fallbackAbsolute))) / pairs
      : null,
    precision: mean(byUser.precision),
    recall: mean(byUser.recall),
    ndcg: mean(byUser.ndcg),
    map: mean(byUser.averagePrecision),
    coverage: total(listed) / listed.length,
    users: ranked,
    predictions,
    dropped: total(parts.map((part) => part.dropped)),
    byUser,
  };
}

/** Holdout pairs of each known user: item index (-1 unknown) and rating. */
function groupByUser({ users, items, ratings }: RatingTriples, model: Model) {
  const counts = new Uint32Array(model.userIds.length + 1);
  const userRows = Int32Array.from(users, (user) => bisect(model.userIds, user));
  for (const user of userRows) if (user >= 0) counts[user + 1]++;
  for (let user = 0; user < model.userIds.length; user++) counts[user + 1] += counts[user];
  const next = counts.slice();
  const order = new Uint32Array(counts[model.userIds.length]);
  userRows.forEach((user, pair) => {
    if (user >= 0) order[next[user]++] = pair;
  });
  return {
    starts: counts,
    items: Int32Array.from(order, (pair) => bisect(model.itemIds, items[pair])),
    ratings: Float32Array.from(order, (pair) => ratings[pair]),
    /** Ratings of users whom the model does not know. */
    unknown: ratings.filter((_, pair) => userRows[pair] < 0),
  };
}

/** A thread's share of `evaluateModel`: a range of users. */
export function evaluateUsers(task: EvaluateTask, context: ThreadContext): ThreadEvaluation {
  const { model, train, k } = task;
  const grouped = groupByUser(task.holdout, model);
  const trainMean = train.byUser.values.reduce((sum, value) => sum + value, 0) / train.byUser.values.length;
  const [from, to] = threadRange(model.userIds.length, context.thread, context.threads);
  const known = Int32Array.from({ length: to - from }, (_, row) => from + row).filter(
    (user) => grouped.starts[user + 1] > grouped.starts[user],
  );
  const values: UserValues = {
    userIds: known.map((user) => model.userIds[user]),
    scored: new Int32Array(known.length),
    squaredError: new Float64Array(known.length),
    absoluteError: new Float64Array(known.length),
    relevant: new Int32Array(known.length),
    precision: new Float64Array(known.length).fill(NaN),
    recall: new Float64Array(known.length).fill(NaN),
    ndcg: new Float64Array(known.length).fill(NaN),
    averagePrecision: new Float64Array(known.length).fill(NaN),
  };
  const result: ThreadEvaluation = {
    byUser: values,
    listed: new Uint8Array(model.itemIds.length),
    dropped: 0,
    fallbackSquared: 0,
    fallbackAbsolute: 0,
  };
  const drop = (rating: number): void => {
    result.dropped++;
    result.fallbackSquared += (rating - trainMean) ** 2;
    result.fallbackAbsolute += Math.abs(rating - trainMean);
  };
  if (context.thread === 0) grouped.unknown.forEach(drop);
  const rankItems = createRanker(model, train, task.minimumRatings, true);
  const list = new TopList(k);
  known.forEach((user, row) => {
    const relevant = new Set<number>();
    for (let at = grouped.starts[user]; at < grouped.starts[user + 1]; at++) {
      const item = grouped.items[at];
      const rating = grouped.ratings[at];
      if (rating >= RELEVANT) {
        values.relevant[row]++;
        relevant.add(item);
      }
      if (item < 0) {
        drop(rating);
        continue;
      }
      const error = rating - score(model.userFactors, user, model.itemFactors, item, model.rank);
      values.scored[row]++;
      values.squaredError[row] += error * error;
      values.absoluteError[row] += Math.abs(error);
    }
    if (values.relevant[row] > 0) {
      rankItems(user, list);
      for (let at = 0; at < list.size; at++) result.listed[list.indices[at]] = 1;
      rankingValues(values, row, list, relevant, k);
    }
  });
  return result;
}

function rankingValues(
  values: UserValues,
  row: number,
  list: TopList,
  relevant: Set<number>,
  k: number,
): void {
  let hits = 0;
  let gain = 0;
  let precisions = 0;
  for (let at = 0; at < list.size; at++) {
    if (!relevant.has(list.indices[at])) continue;
    hits++;
    gain += 1 / Math.log2(at + 2);
    precisions += hits / (at + 1);
  }
  const ideal = Math.min(k, values.relevant[row]);
  let idealGain = 0;
  for (let at = 0; at < ideal; at++) idealGain += 1 / Math.log2(at + 2);
  values.precision[row] = hits / k;
  values.recall[row] = hits / values.relevant[row];
  values.ndcg[row] = gain / idealGain;
  values.averagePrecision[row] = precisions / ideal;
}

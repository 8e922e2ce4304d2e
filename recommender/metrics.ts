import { predictsRatings } from './configuration.ts';
import { type GroupTask, type GroupedHoldout } from './holdout.ts';
import type { MeasureTask, Measured, UserValues } from './measure-users.ts';
import type { Model } from './model.ts';
import type { RatingMatrix, RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';
import { transferables } from './threads/transferables.ts';
import { recommendTopN } from './topn.ts';

export type { UserValues } from './measure-users.ts';

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
  /** Mean number of train ratings of the listed items: the lower, the more novel are the lists. */
  popularity: number;
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

/**
 * Measures a model that was trained on `train` only; definitions and sources in `measure-users.ts`.
 * @throws where a metric is not a number
 */
export async function evaluateModel(
  model: Model,
  train: RatingMatrix,
  holdout: RatingTriples,
  { k, minimumRatings, threads, signal }: EvaluateOptions,
): Promise<Evaluation> {
  const { userIds, itemIds } = model;
  const group: GroupTask = { holdout: plainColumns(holdout), userIds, itemIds };
  const [grouped] = await runThreads<GroupedHoldout>('group', group, { threads: 1, signal });
  const lists = await recommendTopN(model, {
    n: k,
    ratings: train,
    excludeRated: true,
    minimumRatings,
    users: grouped.users.filter((_, at) => grouped.relevant[at] > 0),
    threads,
    signal,
  });
  const { starts } = train.byItem;
  const itemCounts = Uint32Array.from(itemIds, (_, item) => starts[item + 1] - starts[item]);
  const measure: MeasureTask = { model, grouped, lists, itemCounts, trainMean: train.mean };
  const [measured] = await runThreads<Measured>('measure', measure, {
    threads: 1,
    signal,
    transfer: transferables({ grouped, lists, itemCounts }),
  });
  const evaluation = summarise(measured, model, holdout.users.length);
  for (const [name, value] of Object.entries(evaluation)) {
    if (typeof value === 'number' && Number.isNaN(value)) {
      throw new Error(`metric ${name} of ${model.configuration.family} is not a number`);
    }
  }
  return evaluation;
}

/** Only what a thread is to see of columns that belong to something larger. */
function plainColumns({ users, items, ratings }: RatingTriples): RatingTriples {
  return { users, items, ratings };
}

function summarise(measured: Measured, model: Model, pairs: number): Evaluation {
  const { byUser, dropped, fallbackSquared, fallbackAbsolute } = measured;
  const squared = sum(byUser.squaredError);
  const absolute = sum(byUser.absoluteError);
  const predictions = sum(byUser.scored);
  const ranked = byUser.relevant.reduce((count, relevant) => count + (relevant > 0 ? 1 : 0), 0);
  const mean = (values: Float64Array): number =>
    ranked === 0 ? 0 : sum(values.filter((value) => !Number.isNaN(value))) / ranked;
  const hasErrors = predictsRatings(model.configuration) && predictions > 0;
  return {
    rmse: hasErrors ? Math.sqrt(squared / predictions) : null,
    mae: hasErrors ? absolute / predictions : null,
    rmseWithFallback: hasErrors ? Math.sqrt((squared + fallbackSquared) / pairs) : null,
    maeWithFallback: hasErrors ? (absolute + fallbackAbsolute) / pairs : null,
    precision: mean(byUser.precision),
    recall: mean(byUser.recall),
    ndcg: mean(byUser.ndcg),
    map: mean(byUser.averagePrecision),
    popularity: mean(byUser.popularity),
    coverage: measured.listed / model.itemIds.length,
    users: ranked,
    predictions,
    dropped,
    byUser,
  };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

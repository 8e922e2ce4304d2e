import { predictsRatings } from './configuration.ts';
import { type GroupedHoldout, groupHoldout } from './holdout.ts';
import { type DroppedPairs, type MeasureTask, type UserValues, createUserValues } from './measure-users.ts';
import { type TypedArrayClass, sharedArray } from './memory.ts';
import type { Model } from './model.ts';
import type { RankedLists } from './ranked-lists.ts';
import type { RatingMatrix, RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';
import { recommendTopN } from './topn.ts';

export type { UserValues } from './measure-users.ts';

/** Lists of some users, for what is to be held against them later. */
export type SampledLists = Pick<RankedLists, 'ids' | 'counts' | 'capacity' | 'items'>;

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
  /** Lists that `sample` asks for; none without it. */
  lists: SampledLists | null;
}

export interface EvaluateOptions {
  /** Places of a list that are measured. */
  k: number;
  /** Lists to be given back: how long, and of how many users at most. Twins on one split give those of the same users. */
  sample?: { places: number; users: number };
  minimumRatings: number;
  threads: number;
  signal?: AbortSignal;
}

/**
 * Measures a model that was trained on `train` only; definitions and sources in `measure-users.ts`.
 * @param holdout where several models of one train part are measured, grouped once for all of them
 * @throws where a metric is not a number
 */
export async function evaluateModel(
  model: Model,
  train: RatingMatrix,
  holdout: RatingTriples | GroupedHoldout,
  { k, sample, minimumRatings, threads, signal }: EvaluateOptions,
): Promise<Evaluation> {
  const { itemIds } = model;
  const grouped = 'starts' in holdout ? holdout : await groupHoldout(train, holdout, signal);
  const lists = await recommendTopN(model, {
    n: Math.max(k, sample?.places ?? 0),
    ratings: train,
    excludeRated: true,
    minimumRatings,
    users: grouped.users.filter((_, at) => grouped.relevant[at] > 0),
    threads,
    signal,
  });
  const { starts } = train.byItem;
  const byUser = createUserValues(model, grouped);
  const isListed = sharedArray(Uint8Array, itemIds.length);
  const measure: MeasureTask = {
    model: {
      rank: model.rank,
      userFactors: shared(model.userFactors),
      itemFactors: shared(model.itemFactors),
      itemIds: shared(itemIds),
    },
    grouped,
    lists: { counts: shared(lists.counts), capacity: lists.capacity, items: shared(lists.items) },
    k,
    itemCounts: shared(Uint32Array.from(itemIds, (_, item) => starts[item + 1] - starts[item])),
    trainMean: train.mean,
    byUser,
    isListed,
  };
  const [dropped] = await runThreads<DroppedPairs>('measure', measure, { threads, signal });
  const measured = { byUser, ...dropped, listed: sum(isListed) };
  const evaluation = {
    ...summarise(measured, model, grouped.items.length + grouped.unknown.length),
    lists: sample === undefined ? null : sampleLists(lists, sample),
  };
  for (const [name, value] of Object.entries(evaluation)) {
    if (typeof value === 'number' && Number.isNaN(value)) {
      throw new Error(`metric ${name} of ${model.configuration.family} is not a number`);
    }
  }
  return evaluation;
}

/** The lists of users at equal distances, by their place and not by their ids, which may have a pattern of their own. */
function sampleLists(
  lists: RankedLists,
  { places, users }: NonNullable<EvaluateOptions['sample']>,
): SampledLists {
  const { ids, counts, capacity, items } = lists;
  const every = Math.max(1, Math.ceil(ids.length / users));
  const chosen = Uint32Array.from({ length: Math.ceil(ids.length / every) }, (_, at) => at * every);
  const sampled: SampledLists = {
    ids: Int32Array.from(chosen, (list) => ids[list]),
    counts: Uint32Array.from(chosen, (list) => Math.min(places, counts[list])),
    capacity: places,
    items: new Int32Array(chosen.length * places),
  };
  chosen.forEach((list, at) => {
    const from = list * capacity;
    sampled.items.set(items.subarray(from, from + sampled.counts[at]), at * places);
  });
  return sampled;
}

/** A copy that threads see. */
function shared<View extends Int32Array | Uint32Array | Float32Array>(values: View): View {
  const copy = sharedArray(values.constructor as TypedArrayClass<View>, values.length);
  copy.set(values);
  return copy;
}

interface Measured extends DroppedPairs {
  byUser: UserValues;
  /** Distinct items in the lists. */
  listed: number;
}

function summarise(measured: Measured, model: Model, pairs: number): Omit<Evaluation, 'lists'> {
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

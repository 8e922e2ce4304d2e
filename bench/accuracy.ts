/** Holdout error and ranking of configurations: over five folds that anybody can make again, or on a given split. */

import {
  type Configuration,
  type Evaluation,
  type RatingMatrix,
  type RatingTriples,
  buildRatingMatrix,
  configurationKey,
  crc32OfText,
  evaluateModel,
  trainModel,
} from '../recommender/index.ts';

const FOLDS = 5;
/** Length of the ranked lists. */
const K = 10;

/** A configuration, and the least number of ratings for a movie to be listed. */
export interface AccuracyRow {
  configuration: Configuration;
  minimumRatings: number;
}

export interface AccuracyOptions {
  threads: number;
  /** Told how it goes. */
  say: (line: string) => void;
}

/** Null where a family predicts no ratings. */
export interface AccuracyFigures {
  rmse: number | null;
  mae: number | null;
  /** Holdout pairs with a prediction, and those whose user or movie the train part does not have. */
  scored: number;
  dropped: number;
  precision_at_10: number;
  recall_at_10: number;
  ndcg_at_10: number;
  coverage: number;
}

/** Figures of one row; where there are folds, their means. */
export interface RowAccuracy extends AccuracyRow {
  figures: AccuracyFigures;
  folds: AccuracyFigures[];
}

/**
 * Five-fold cross-validation. A pair's fold is the CRC-32 of its ASCII text "userId:movieId" modulo 5; pairs whose
 * user or movie is not in the train part are dropped.
 */
export async function crossValidate(
  ratings: RatingTriples,
  rows: AccuracyRow[],
  { threads, say }: AccuracyOptions,
): Promise<RowAccuracy[]> {
  const folds = Uint8Array.from(
    ratings.users,
    (user, row) => crc32OfText(`${user}:${ratings.items[row]}`) % FOLDS,
  );
  const perFold: AccuracyFigures[][] = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const train = pick(ratings, folds, (other) => other !== fold);
    const holdout = pick(ratings, folds, (other) => other === fold);
    perFold.push(
      await evaluateSplit(train, holdout, rows, {
        threads,
        say: (line) => say(`fold ${fold + 1} of ${FOLDS}, ${line}`),
      }),
    );
  }
  return rows.map((row, at) => {
    const own = perFold.map((figures) => figures[at]);
    return { ...row, figures: mean(own), folds: own };
  });
}

/** Trains on the one part and measures on the other, row by row. */
export async function evaluateSplit(
  train: RatingTriples,
  holdout: RatingTriples,
  rows: AccuracyRow[],
  options: AccuracyOptions,
): Promise<AccuracyFigures[]> {
  const matrix = await buildRatingMatrix(train, { threads: options.threads });
  const figures: AccuracyFigures[] = [];
  for (const row of rows) figures.push(await evaluateRow(matrix, holdout, row, options));
  matrix.release();
  return figures;
}

async function evaluateRow(
  matrix: RatingMatrix,
  holdout: RatingTriples,
  { configuration, minimumRatings }: AccuracyRow,
  { threads, say }: AccuracyOptions,
): Promise<AccuracyFigures> {
  const model = await trainModel(matrix, configuration, { threads });
  const found = await evaluateModel(model, matrix, holdout, { k: K, minimumRatings, threads });
  say(
    `${configurationKey(configuration)}: RMSE ${found.rmse?.toFixed(4) ?? 'n/a'}, P@10 ${found.precision.toFixed(4)}`,
  );
  return figuresOf(found);
}

function figuresOf(found: Evaluation): AccuracyFigures {
  return {
    rmse: found.rmse,
    mae: found.mae,
    scored: found.predictions,
    dropped: found.dropped,
    precision_at_10: found.precision,
    recall_at_10: found.recall,
    ndcg_at_10: found.ndcg,
    coverage: found.coverage,
  };
}

function mean(folds: AccuracyFigures[]): AccuracyFigures {
  const of = (name: keyof AccuracyFigures): number | null => {
    const values = folds.map((fold) => fold[name]);
    const known = values.filter((value) => value !== null);
    return known.length < values.length ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const names = Object.keys(folds[0]) as (keyof AccuracyFigures)[];
  return Object.fromEntries(names.map((name) => [name, of(name)])) as unknown as AccuracyFigures;
}

function pick(
  { users, items, ratings }: RatingTriples,
  folds: Uint8Array,
  keep: (fold: number) => boolean,
): RatingTriples {
  const size = folds.reduce((count, fold) => count + (keep(fold) ? 1 : 0), 0);
  const picked = {
    users: new Int32Array(size),
    items: new Int32Array(size),
    ratings: new Float32Array(size),
  };
  let to = 0;
  for (let row = 0; row < folds.length; row++) {
    if (!keep(folds[row])) continue;
    picked.users[to] = users[row];
    picked.items[to] = items[row];
    picked.ratings[to++] = ratings[row];
  }
  return picked;
}

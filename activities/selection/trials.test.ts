import { expect, test } from 'vitest';
import { resolveSettings } from '../../config/settings.ts';
import {
  type AlsConfiguration,
  type Evaluation,
  type RatingMatrix,
  type RatingTriples,
  buildRatingMatrix,
  crc32OfText,
  evaluateModel,
  pairedBootstrap,
  splitRatings,
  trainModel,
} from '../../recommender/index.ts';
import { synthesiseRatings } from '../../bench/synthetic-ratings.ts';
import { hasMovieLens, pickRows, readRatings } from '../../test/support/movielens.ts';
import { type Measured, decide } from './decide.ts';

const settings = resolveSettings('small');
const TRIALS = 20;

interface Part {
  train: RatingMatrix;
  holdout: RatingTriples;
  release: () => void;
}

/** The night's split of the same ratings, by another seed for each trial. */
async function splitBy(seed: number): Promise<Part> {
  const columns = await synthesiseRatings(200_000);
  const border = await splitRatings(columns, seed);
  const holdout = {
    users: columns.users.slice(border),
    items: columns.items.slice(border),
    ratings: columns.ratings.slice(border),
  };
  const train = await buildRatingMatrix(columns, { rows: [0, border] });
  return { train, holdout, release: () => columns.release() };
}

async function twin(
  { train, holdout }: Part,
  rank: number,
  seed: number,
  regularization = 0.1,
): Promise<Evaluation> {
  const configuration: AlsConfiguration = { family: 'als', rank, seed, iterations: 10, regularization };
  const model = await trainModel(train, configuration, { threads: 2 });
  return evaluateModel(model, train, holdout, {
    k: 10,
    minimumRatings: settings.recommendations.minimumRatings,
    threads: 2,
  });
}

const compared = (champion: Evaluation, challenger: Evaluation) =>
  pairedBootstrap(
    {
      a: champion.byUser.squaredError,
      b: challenger.byUser.squaredError,
      counts: champion.byUser.scored,
      statistic: 'rmse',
      resamples: settings.selection.resamples,
      seed: settings.selection.seed,
    },
    { threads: 2 },
  );

/** The night's decision between two twins. */
async function decisionBetween(champion: Evaluation, challenger: Evaluation): Promise<string> {
  const { difference, low, high, p } = await compared(champion, challenger);
  const measured = (configuration: string, { rmse, coverage }: Evaluation): Measured => ({
    configuration,
    value: rmse ?? Number.NaN,
    rmse,
    coverage,
  });
  const { decision } = decide(
    {
      challenger: measured('challenger', challenger),
      champion: measured('champion', champion),
      comparison: {
        metric: 'rmse',
        a: 'champion',
        b: 'challenger',
        difference,
        low,
        high,
        p,
        adjustedP: p,
        users: champion.byUser.scored.length,
        resamples: settings.selection.resamples,
        seed: settings.selection.seed,
        decided: low > 0 || high < 0,
        winner: difference > 0 ? 'challenger' : 'champion',
      },
      baseline: null,
      churn: { churn: 0, users: 1 },
      mayPublish: true,
    },
    settings,
  );
  return decision;
}

test('seeds of one model promote nothing in 20 of 20 trials; twice the margin is promoted in at least 19', async () => {
  const promoted = { seeds: 0, better: 0 };
  let gains = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const part = await splitBy(100 + trial);
    const model = await twin(part, 10, trial);
    const reseeded = await decisionBetween(model, await twin(part, 10, 1_000 + trial));
    const worse = await twin(part, 10, 2_000 + trial, 0.115);
    const better = await decisionBetween(worse, model);
    gains += ((worse.rmse ?? 0) - (model.rmse ?? 0)) / TRIALS;
    if (reseeded === 'promotion') promoted.seeds++;
    if (better === 'promotion') promoted.better++;
    part.release();
  }
  console.log(`gain ${gains.toFixed(4)}; promoted: seeds ${promoted.seeds}, better ${promoted.better}`);
  // The regularisation of the worse one is such that the other is better by about twice the margin.
  expect(gains / settings.selection.minimumImprovement).toBeGreaterThan(1.6);
  expect(gains / settings.selection.minimumImprovement).toBeLessThan(2.4);
  expect(promoted.seeds).toBe(0);
  expect(promoted.better).toBeGreaterThanOrEqual(19);
});

// Of Spark's models on this fold: 0.0066, interval 0.0019 to 0.0112; `engine.md` of the specification has the folds.
test.skipIf(!hasMovieLens)('rank 50 gains over rank 10 on fold 0, with an interval above zero', async () => {
  const all = readRatings();
  const held = Array.from(all.users, (user, row) => crc32OfText(`${user}:${all.items[row]}`) % 5 === 0);
  const train = await buildRatingMatrix(pickRows(all, (row) => !held[row]));
  const part = { train, holdout: pickRows(all, (row) => held[row]), release: () => train.release() };
  const [ten, fifty] = [await twin(part, 10, 42), await twin(part, 50, 42)];
  const { difference, low, high } = await compared(ten, fifty);
  part.release();
  console.log(
    `rank 10 against 50 on fold 0: ${difference.toFixed(4)}, ${low.toFixed(4)} to ${high.toFixed(4)}`,
  );
  expect(low).toBeGreaterThan(0);
  expect(difference).toBeGreaterThan(low);
  expect(high).toBeLessThan(0.03);
});

/** The named sets of defaults. Thresholds of decisions stand here, those of the checks in `config/checks.ts`. */

import { thresholds } from './checks.ts';
import type { Settings } from './settings.ts';

const production: Settings = {
  ingestion: { rebuild: false },
  evaluation: { holdoutSeed: 42 },
  challengers: [
    { family: 'als', rank: 10, iterations: 10, regularization: 0.1, seed: 42 },
    { family: 'als', rank: 30, iterations: 10, regularization: 0.1, seed: 42 },
  ],
  selection: {
    metric: 'rmse',
    // Two seeds of one configuration differ by up to 0.003 on ml-latest-small; see docs/decisions.
    minimumImprovement: 0.003,
    resamples: 1000,
    seed: 42,
    // Most-popular lists reach 0.006 of ml-latest-small, those of als with its floor 0.027.
    minimumCoverage: 0.01,
    // Other ranks, seeds and regularisations of one family come to 0.68 at most on ml-latest-small, another kind of
    // family (als to als-implicit) to 0.87 and more: that is for a person to ask for.
    maximumChurn: 0.8,
  },
  alarm: {
    rmseThreshold: 1.0,
    // Three times what two seeds of one configuration differ by.
    regressionMargin: 0.01,
    policy: 'block',
    askHours: 8,
  },
  recommendations: {
    perUser: 20,
    excludeRated: true,
    // Without a floor explicit ALS fills the list with obscure films: Precision@10 0.010 against 0.109 at 50.
    minimumRatings: 50,
  },
  similar: { perMovie: 10, minimumRatings: 5 },
  trending: { rows: 100, windowDays: 30, minimumRecentRatings: 5, anchor: 'as_of' },
  quality: {
    thresholds: thresholds.production,
    // A week, so that each day of it is there once; a median of three stands one odd night.
    history: { runs: 7, minimumRuns: 3, restart: false },
  },
  retention: {
    // A year and a month: the same season again. Some forty small rows a night.
    checkResultsDays: 400,
    // Enough to look into a week that went wrong.
    sampleNights: 7,
    alertDays: 365,
    // A dozen rows a night: a year and a bit, for a comparison with the same season.
    experimentNights: 400,
    // A row for each user and twin: half a gigabyte a week at 160,000 users.
    userMetricsNights: 7,
    // It cannot be taken up again once its snapshot is gone, a night or two later; its points can still be looked at.
    abandonedDays: 30,
  },
  publishing: { keepVersions: 3 },
};

/** For small and historical data: what `npm run nightly` uses. */
const small: Settings = {
  ...production,
  // ml-latest-small has at most four ratings of a movie in its last 30 days; two still keep a single one from leading.
  trending: { ...production.trending, anchor: 'newest_rating', minimumRecentRatings: 2 },
  quality: { ...production.quality, thresholds: thresholds.small },
};

export const profiles = { small, production };
export type ProfileName = keyof typeof profiles;

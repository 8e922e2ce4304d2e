/** The named sets of defaults. Thresholds of every check and decision stand here, in one place. */

import type { Settings } from './settings.ts';

const production: Settings = {
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
  },
  alarm: { rmseThreshold: 1.0, policy: 'block' },
  recommendations: {
    perUser: 20,
    excludeRated: true,
    // Without a floor explicit ALS fills the list with obscure films: Precision@10 0.010 against 0.109 at 50.
    minimumRatings: 50,
  },
  similar: { perMovie: 10, minimumRatings: 5 },
  trending: { rows: 100, windowDays: 30, minimumRecentRatings: 5, anchor: 'as_of' },
  quality: {
    minimumRatings: 10_000_000,
    maximumRefusedShare: 0.01,
    maximumAgeDays: 2,
    freshnessSeverity: 'error',
  },
  publishing: { keepVersions: 3 },
  retention: {
    // A dozen rows a night: a year and a bit, for a comparison with the same season.
    experimentNights: 400,
    // A row for each user and twin: half a gigabyte a week at 160,000 users.
    userMetricsNights: 7,
  },
};

/** For small and historical data: what `npm run nightly` uses. */
const small: Settings = {
  ...production,
  // ml-latest-small has at most four ratings of a movie in its last 30 days; two still keep a single one from leading.
  trending: { ...production.trending, anchor: 'newest_rating', minimumRecentRatings: 2 },
  quality: { ...production.quality, minimumRatings: 1_000, freshnessSeverity: 'warn' },
};

export const profiles = { small, production };
export type ProfileName = keyof typeof profiles;

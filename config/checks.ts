/**
 * What each check of the gates lets pass, a profile a table. `error` is asked first, then `warn`; null is never asked,
 * and a check with neither is switched off. `activities/quality/checks.ts` says what is counted, and whether a number
 * here is the most or the least that passes.
 */

export interface Threshold {
  warn: number | null;
  error: number | null;
}

const productionThresholds = {
  // Source: its catalogue and counts, before anything is read.
  source_columns: { warn: null, error: 0 },
  ratings_minimum: { warn: null, error: 10_000_000 },
  movies_present: { warn: null, error: 1 },

  // Bronze: the rows as read. What is dirty goes into quarantine; its share is the matter of `refused_share`.
  null_keys: { warn: null, error: 0 },
  rating_domain: { warn: 0, error: null },
  orphan_movies: { warn: 0, error: null },
  future_timestamps: { warn: 0, error: null },
  /** Days. */
  freshness: { warn: null, error: 2 },
  catalogue_titles: { warn: 0, error: null },

  // Silver: the snapshot, by itself and against the last good nights.
  snapshot_present: { warn: null, error: 1 },
  row_accounting: { warn: null, error: 0 },
  duplicates: { warn: 0, error: null },
  /** Share of the rows of bronze, 0 to 1. */
  refused_share: { warn: null, error: 0.01 },
  /** Share by which the number of ratings has moved: a night adds a thousandth or so. */
  volume_change: { warn: 0.1, error: 0.3 },
  /** Stars: at ten million ratings chance moves the mean by 0.001. */
  mean_rating_drift: { warn: 0.05, error: 0.2 },
  /** Population stability index: below 0.1 little has changed, above 0.25 much (Siddiqi 2006). */
  rating_share_drift: { warn: 0.1, error: 0.25 },

  user_feature_rows: { warn: null, error: 0 },
  movie_feature_rows: { warn: null, error: 0 },
  genre_preference_rows: { warn: null, error: 0 },

  factors_complete: { warn: null, error: 0 },
  factors_finite: { warn: null, error: 0 },

  recommendations_complete: { warn: null, error: 0 },
  no_rated_movie: { warn: null, error: 0 },
  no_null_title: { warn: null, error: 0 },
  never_itself: { warn: null, error: 0 },
  /**
   * 1 minus the mean Jaccard similarity at 20. A million generated ratings: a night with a thousandth more 0.03, with a
   * hundredth more 0.11, another rank 0.13.
   */
  list_churn: { warn: 0.5, error: null },
  trending_present: { warn: 1, error: null },
} satisfies Record<string, Threshold>;

export type CheckName = keyof typeof productionThresholds;
export type Thresholds = Record<CheckName, Threshold>;
export const CHECK_NAMES = Object.keys(productionThresholds) as [CheckName, ...CheckName[]];

export const thresholds: Record<'production' | 'small', Thresholds> = {
  production: productionThresholds,
  /** Small and historical data, which a person loads and exchanges: age and what came before only warn. */
  small: {
    ...productionThresholds,
    ratings_minimum: { warn: null, error: 1_000 },
    freshness: { warn: 2, error: null },
    volume_change: { warn: 0.3, error: null },
    mean_rating_drift: { warn: 0.2, error: null },
    rating_share_drift: { warn: 0.25, error: null },
    // ml-latest-small is small enough that a hundredth more ratings come to 0.67.
    list_churn: { warn: 0.8, error: null },
  },
};

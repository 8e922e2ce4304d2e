/** Every check as declared data. Its thresholds stand in `config/checks.ts`. */

import type { Check } from './check.ts';

/** What holds for every row, but for as many as the threshold lets pass. */
const always =
  (rule: string) =>
  (threshold: number): string =>
    threshold === 0 ? rule : `${rule}, but for ${threshold.toLocaleString('en')}`;
const atLeast =
  (one: string, many: string) =>
  (threshold: number): string =>
    threshold === 1 ? `at least one ${one}` : `at least ${threshold.toLocaleString('en')} ${many}`;
const percent = (share: number): string => `${Number((share * 100).toPrecision(6))}%`;
const UNLIKE_BEFORE =
  'see what was loaded or lost; if it is meant, accept it with --set quality.history.restart=true';
const PASS_ON = 'a night puts it into quarantine, silver.rejected_ratings';

export const checks: Check[] = [
  {
    name: 'source_columns',
    scope: 'source',
    expected: always(
      'movielens.ratings(user_id, movie_id, rating, rating_timestamp) and movielens.movies(movie_id, title, genres) with their types',
    ),
    limit: 'most',
    remedy: 'restore the source tables, or load data with npm run data',
  },
  {
    name: 'ratings_minimum',
    scope: 'source',
    expected: atLeast('rating', 'ratings'),
    limit: 'least',
    remedy: 'complete the load, or use a profile for small data',
  },
  {
    name: 'movies_present',
    scope: 'source',
    expected: atLeast('movie', 'movies'),
    limit: 'least',
    remedy: 'load the catalogue',
  },
  {
    name: 'null_keys',
    scope: 'bronze',
    expected: always('no rating without user_id or movie_id'),
    limit: 'most',
    remedy: 'mend the rows in the source',
  },
  {
    name: 'rating_domain',
    scope: 'bronze',
    expected: always('every rating 0.5 to 5.0 in steps of 0.5, with a timestamp'),
    limit: 'most',
    remedy: PASS_ON,
  },
  {
    name: 'orphan_movies',
    scope: 'bronze',
    expected: always('every rated movie in the catalogue'),
    limit: 'most',
    remedy: PASS_ON,
  },
  {
    name: 'future_timestamps',
    scope: 'bronze',
    expected: always('no rating later than the start of the run'),
    limit: 'most',
    remedy: 'mend the clock of whatever writes the source',
  },
  {
    name: 'freshness',
    scope: 'bronze',
    expected: (days) => `newest rating at most ${days} days before the as-of`,
    limit: 'most',
    remedy: 'see why the source stopped growing',
  },
  {
    name: 'catalogue_titles',
    scope: 'bronze',
    expected: always('every movie with an id of its own and a title'),
    limit: 'most',
    remedy: 'a movie without a title or an id is left out, and its ratings are refused',
  },
  {
    name: 'snapshot_present',
    scope: 'silver',
    expected: atLeast('rating in the snapshot', 'ratings in the snapshot'),
    limit: 'least',
    remedy: 'see the reasons in silver.rejected_ratings',
  },
  {
    name: 'row_accounting',
    scope: 'silver',
    expected: always(
      'bronze = silver + rejected + superseded, and silver = its totals by user, by movie and by value',
    ),
    limit: 'most',
    remedy: 'rows were lost or doubled: a defect of the pipeline, report it',
  },
  {
    name: 'duplicates',
    scope: 'silver',
    expected: always('one rating for each user and movie'),
    limit: 'most',
    remedy: 'the latest wins',
  },
  {
    name: 'refused_share',
    scope: 'silver',
    expected: (share) => `at most ${percent(share)} of the rows refused`,
    limit: 'most',
    remedy: 'see the reasons in silver.rejected_ratings and mend the source',
  },
  {
    name: 'volume_change',
    scope: 'silver',
    limit: 'most',
    expected: (share) => `ratings within ${percent(share)} of the last good nights`,
    remedy: UNLIKE_BEFORE,
  },
  {
    name: 'mean_rating_drift',
    scope: 'silver',
    limit: 'most',
    expected: (stars) => `a mean rating within ${stars} stars of the last good nights`,
    remedy: UNLIKE_BEFORE,
  },
  {
    name: 'rating_share_drift',
    scope: 'silver',
    limit: 'most',
    expected: (index) => `shares of the rating values within ${index} of the last good nights`,
    remedy: UNLIKE_BEFORE,
  },
  {
    name: 'user_feature_rows',
    scope: 'features',
    expected: always('as many rows in user_features as users in the snapshot'),
    limit: 'most',
    remedy: 'a defect of the pipeline, report it',
  },
  {
    name: 'movie_feature_rows',
    scope: 'features',
    expected: always('as many rows in movie_features as rated movies in the snapshot'),
    limit: 'most',
    remedy: 'a defect of the pipeline, report it',
  },
  {
    name: 'genre_preference_rows',
    scope: 'features',
    expected: always('a row of genre preferences for each user with a rating in one of the ten genres'),
    limit: 'most',
    remedy: 'a defect of the pipeline, report it',
  },
  {
    name: 'factors_complete',
    scope: 'model',
    expected: always('factors of one length for every user and rated movie of the snapshot'),
    limit: 'most',
    remedy: 'a defect of the training, report it',
  },
  {
    name: 'factors_finite',
    scope: 'model',
    expected: always('every factor a finite number'),
    limit: 'most',
    remedy: 'look at the regularisation of the configuration',
  },
  {
    name: 'recommendations_complete',
    scope: 'publish',
    expected: (users, { recommendations }) =>
      always(
        `${recommendations.perUser} recommendations for every user, or all that are left above the floor`,
      )(users),
    limit: 'most',
    remedy: 'a defect of the scoring, report it',
  },
  {
    name: 'no_rated_movie',
    scope: 'publish',
    expected: always('no movie recommended to a user who has rated it'),
    limit: 'most',
    remedy: 'a defect of the scoring, report it',
  },
  {
    name: 'no_null_title',
    scope: 'publish',
    expected: always('a title for every movie in a list'),
    limit: 'most',
    remedy: 'a defect of the publishing, report it',
  },
  {
    name: 'never_itself',
    scope: 'publish',
    expected: always('no movie similar to itself'),
    limit: 'most',
    remedy: 'a defect of the scoring, report it',
  },
  {
    name: 'list_churn',
    scope: 'publish',
    expected: (churn) => `a churn of at most ${churn} against the lists that are served`,
    limit: 'most',
    remedy: 'see npm run pipeline -- compare; what is served now is kept, and a rollback shows it again',
  },
  {
    name: 'trending_present',
    scope: 'publish',
    expected: atLeast('trending movie', 'trending movies'),
    limit: 'least',
    remedy: 'no movie has enough ratings in the window: see trending.minimumRecentRatings',
  },
];

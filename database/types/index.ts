/** The typed picture of every schema. A test holds it against the migrated database. */

import type * as lake from './lake.ts';
import type * as pipeline from './pipeline.ts';
import type * as speed from './speed.ts';
import type * as store from './store.ts';
import type * as views from './views.ts';

export type * from './lake.ts';
export type * from './pipeline.ts';
export type * from './speed.ts';
export type * from './store.ts';
export type * from './views.ts';

export interface Database {
  'movielens.ratings': lake.SourceRatings;
  'movielens.movies': lake.SourceMovies;
  'movielens.loads': lake.SourceLoads;

  'bronze.ratings': lake.BronzeRatings;
  'bronze.movies': lake.BronzeMovies;
  'bronze.batches': lake.Batches;
  'bronze.fingerprints': lake.Fingerprints;
  'bronze.changed_users': lake.ChangedUsers;
  'silver.ratings': lake.SilverRatings;
  'silver.movies': lake.SilverMovies;
  'silver.rejected_ratings': lake.RejectedRatings;
  'silver.superseded_ratings': lake.SupersededRatings;
  'silver.snapshots': lake.Snapshots;
  'gold.user_totals': lake.UserTotals;
  'gold.movie_totals': lake.MovieTotals;
  'gold.splits': lake.Splits;

  'store.user_features': store.Versioned<store.UserFeatures>;
  'store.movie_features': store.Versioned<store.MovieFeatures>;
  'store.user_genre_preferences': store.Versioned<store.UserGenrePreferences>;
  'store.trending': store.Versioned<store.Trending>;
  'store.movie_stats': store.Versioned<store.MovieStats>;
  'store.batch_recs': store.StoredRecommendations;
  'store.similar_movies': store.StoredSimilarMovies;
  'store.movies': store.StoredMovies;
  'store.user_factors': store.StoredUserFactors;
  'store.item_factors': store.StoredItemFactors;

  'speed.passes': speed.Passes;
  'speed.latest': speed.LatestPass;
  'speed.recent_ratings': speed.RecentRatings;
  'speed.overlay': speed.Overlay;

  'features.user_features': store.UserFeatures;
  'features.movie_features': store.MovieFeatures;
  'features.user_genre_preferences': store.UserGenrePreferences;
  'recommendations.batch_recs': views.BatchRecs;
  'recommendations.similar_movies': views.SimilarMovies;
  'recommendations.trending': store.Trending;
  'serving.movie_stats': store.MovieStats;
  'serving.versions': pipeline.PublishedVersions;
  'serving.version_rows': pipeline.VersionRows;
  'serving.pointer': pipeline.Pointer;
  'serving.blocked_items': pipeline.BlockedItems;
  'models.user_factors': views.UserFactorsView;
  'models.item_factors': views.ItemFactorsView;
  'models.metadata': pipeline.ModelMetadata;
  'models.champions': pipeline.Champions;
  'models.promotions': pipeline.Promotions;

  'experiments.evaluations': pipeline.Evaluations;
  'experiments.refit_starts': pipeline.RefitStarts;
  'experiments.user_metrics': pipeline.UserMetrics;
  'experiments.ab_test_results': pipeline.AbTestResults;
  'experiments.comparisons': pipeline.Comparisons;
  'experiments.ab_tests': pipeline.AbTests;
  'experiments.ab_test_arms': pipeline.AbTestArms;
  'experiments.ab_test_comparisons': pipeline.AbTestComparisons;
  'experiments.ab_test_users': pipeline.AbTestUsers;
  'experiments.grid_searches': pipeline.GridSearches;
  'experiments.grid_search_results': pipeline.GridSearchResults;

  'quality.check_results': pipeline.CheckResults;
  'quality.source_statistics': pipeline.SourceStatistics;
  'pipeline.identity': pipeline.Identity;
  'pipeline.runs': pipeline.Runs;
  'pipeline.reopenings': pipeline.Reopenings;
  'pipeline.stages': pipeline.Stages;
  'pipeline.chunks': pipeline.Chunks;
  'pipeline.checkpoints': pipeline.Checkpoints;
  'pipeline.run_log': pipeline.RunLog;
  'pipeline.alerts': pipeline.Alerts;
  'pipeline.alert_deliveries': pipeline.AlertDeliveries;
  'pipeline.schedule_watch': pipeline.ScheduleWatch;
}

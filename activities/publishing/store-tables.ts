import type { VersionedTable } from '../../database/versions.ts';

/** What belongs to a model version: a rollback brings it back. */
export const MODEL_TABLES = [
  'store.batch_recs',
  'store.similar_movies',
  'store.movies',
  'store.user_factors',
  'store.item_factors',
] as const satisfies VersionedTable[];

/** What belongs to the data of a night: a rollback leaves it. */
export const DATA_TABLES = [
  'store.user_features',
  'store.movie_features',
  'store.user_genre_preferences',
  'store.trending',
  'store.movie_stats',
] as const satisfies VersionedTable[];

export const STORE_TABLES = [...MODEL_TABLES, ...DATA_TABLES];

/** What a night has read: that of the last night is kept. */
export const BATCH_TABLES = [
  'bronze.ratings',
  'bronze.movies',
  'bronze.changed_users',
] as const satisfies VersionedTable[];

/** What belongs to a snapshot beside its image: kept with it, for the next night to follow. */
export const SNAPSHOT_TABLES = [
  'bronze.fingerprints',
  'silver.movies',
  'silver.rejected_ratings',
  'silver.superseded_ratings',
  'gold.user_totals',
  'gold.movie_totals',
] as const satisfies VersionedTable[];

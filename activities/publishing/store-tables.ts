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

/** What a night has read, and what it refused: that of the last night is kept. */
export const BATCH_TABLES = [
  'bronze.ratings',
  'bronze.movies',
  'silver.rejected_ratings',
] as const satisfies VersionedTable[];

/** What a night computes from: its own and that of the published night are kept. */
export const SILVER_TABLES = ['silver.ratings', 'silver.movies'] as const satisfies VersionedTable[];

export const SNAPSHOT_TABLES = [...BATCH_TABLES, ...SILVER_TABLES];

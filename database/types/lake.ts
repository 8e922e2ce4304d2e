/** Source, bronze, silver and gold: the data on its way from the source to the model. */

import type { ColumnType, Generated } from 'kysely';
import type { NullableJson } from './pipeline.ts';

/** `movielens.ratings`: the source. It has no key and may hold anything; the pipeline only reads it. */
export interface SourceRatings {
  user_id: number | null;
  movie_id: number | null;
  rating: number | null;
  rating_timestamp: Date | null;
}

/** `movielens.movies`: the source's catalogue; `genres` joined by `|`. */
export interface SourceMovies {
  movie_id: number | null;
  title: string | null;
  genres: string | null;
}

/** `movielens.loads`: the mark that our loader leaves; a source without it is never loaded into. */
export interface SourceLoads {
  loaded_at: Generated<Date>;
  source: string;
  ratings: number;
  movies: number;
}

/** `bronze.ratings`: the source as read, one batch a run; types loose enough to hold dirty rows. */
export interface BronzeRatings {
  /** The run that read the batch. */
  _batch_id: number;
  _ingested_at: Date;
  /** Which chunk of the source it was read with. */
  _chunk: Generated<number>;
  user_id: number | null;
  movie_id: number | null;
  rating: number | null;
  rating_timestamp: Date | null;
}

/** `bronze.movies`: the source's catalogue as read. */
export interface BronzeMovies {
  _batch_id: number;
  _ingested_at: Date;
  movie_id: number | null;
  title: string | null;
  genres: string | null;
}

/** `bronze.batches`: what one run has read. */
export interface Batches {
  _batch_id: number;
  /** The run whose snapshot this batch changes: it holds the changed users only. Null where it holds the whole source. */
  follows: number | null;
  ratings: number;
  movies: number;
  /** Null where the whole source was read. */
  changed_users: number | null;
  /** Whether the bronze gate has found that silver takes every row; null before it has looked. */
  all_accepted: ColumnType<boolean | null, boolean | null | undefined>;
}

/** `bronze.fingerprints`: what the pipeline has of each user of the source, to be held against the source. */
export interface Fingerprints {
  _batch_id: number;
  user_id: number;
  ratings: number;
  /** Of the hashes of its rows, 63 bits: compared where it lies, never read. */
  checksum: number;
}

/** `bronze.changed_users`: users whose rows of an earlier snapshot this batch replaces. */
export interface ChangedUsers {
  _batch_id: number;
  user_id: number;
}

/** `silver.ratings`: the snapshot. One row per (user, movie), the latest rating. */
export interface SilverRatings {
  /** The run that has built this image in full; `silver.snapshots` says which image a run's snapshot is. */
  image: number;
  user_id: number;
  movie_id: number;
  /** Stars, 0.5 to 5.0 in steps of 0.5. */
  rating: number;
  rating_timestamp: Date;
}

/** `silver.movies`: the catalogue of the snapshot, enriched. */
export interface SilverMovies {
  run: number;
  movie_id: number;
  title: string;
  genres: string;
  genre_list: string[];
  primary_genre: string;
  num_genres: number;
  /** First `(dddd)` of the title. */
  year: number | null;
}

/** Why a rating was refused; the first reason that applies, in this order. */
export type RejectionReason =
  | 'null_key'
  | 'id_out_of_range'
  | 'null_rating'
  | 'invalid_timestamp'
  | 'rating_out_of_domain'
  | 'unknown_movie'
  | 'after_as_of';

/** `silver.rejected_ratings`: the quarantine. Every refused row with its batch and reason. */
export interface RejectedRatings {
  _batch_id: number;
  user_id: number | null;
  movie_id: number | null;
  rating: number | null;
  rating_timestamp: Date | null;
  reason: RejectionReason;
}

/** `silver.superseded_ratings`: ratings that a later one of the same user and movie has replaced. */
export interface SupersededRatings {
  _batch_id: number;
  user_id: number;
  movie_id: number;
  rating: number;
  rating_timestamp: Date;
}

/** `silver.snapshots`: what one run's silver holds, counted when it was written. */
export interface Snapshots {
  run: number;
  /** The run that has built the image in full. The image holds the snapshot of the newest run that names it. */
  image: number;
  /** Version of the rules that refuse and choose rows. */
  rules: number;
  as_of: Date;
  bronze_ratings: number;
  silver_ratings: number;
  rejected_ratings: number;
  /** Of the rejected: set aside because they lie after the as-of; counted by no gate. */
  after_as_of: number;
  /** Older ratings of a (user, movie) pair that was rated more than once. */
  superseded_ratings: number;
  users: number;
  rated_movies: number;
  movies: number;
  newest_rating_at: Date | null;
  /** Ratings by their value, as silver has counted them or by what has changed, else as its gate has; null where nobody has counted. */
  rating_counts: NullableJson<RatingCounts>;
}

/** How many ratings there are of each value, by its text. */
export type RatingCounts = Record<string, number>;

/** Exact sums over the ratings of one user or movie of a snapshot; ratings as whole half-stars. */
interface Totals {
  run: number;
  ratings: number;
  half_stars: number;
  half_stars_squared: number;
  positive: number;
  negative: number;
  first_at: Date;
  last_at: Date;
}

/** `gold.user_totals`: one row a user of the snapshot. */
export interface UserTotals extends Totals {
  user_id: number;
}

/** `gold.movie_totals`: one row a rated movie of the snapshot. */
export interface MovieTotals extends Totals {
  movie_id: number;
}

/** `gold.splits`: the model input of a run. The split itself is a function of (user, movie, seed). */
export interface Splits {
  run: number;
  seed: number;
  ratings: number;
  train: number;
  holdout: number;
  users: number;
  movies: number;
  /** CRC-32 of the training part's rows in order, to tell whether two nights trained on the same data. */
  train_checksum: string;
  holdout_checksum: string;
}

/** Source, bronze, silver and gold: the data on its way from the source to the model. */

import type { Generated } from 'kysely';

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

/** `silver.ratings`: the snapshot. One row per (user, movie), the latest rating. */
export interface SilverRatings {
  run: number;
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

/** `silver.snapshots`: what one run's silver holds, counted when it was written. */
export interface Snapshots {
  run: number;
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

/**
 * Schema `store`: the versioned tables behind the readers' views, list-partitioned by `run`, one
 * partition a version. Readers never name this schema: they use the views of `views.ts`.
 */

export interface UserFeatures {
  user_id: number;
  total_ratings: number;
  avg_rating: number;
  /** Sample standard deviation; null for one rating. */
  std_rating: number | null;
  positive_count: number;
  negative_count: number;
  unique_movies: number;
  first_rating_at: Date;
  last_rating_at: Date;
  positivity_ratio: number;
  activity_span_days: number;
  ratings_per_day: number;
  user_segment: 'power' | 'active' | 'casual' | 'new';
  _computed_at: Date;
}

export interface MovieFeatures {
  movie_id: number;
  title: string;
  genres: string;
  primary_genre: string;
  year: number | null;
  num_genres: number;
  total_ratings: number;
  avg_rating: number;
  std_rating: number | null;
  unique_raters: number;
  positive_rate: number;
  first_rated_at: Date;
  last_rated_at: Date;
  _computed_at: Date;
}

export interface UserGenrePreferences {
  user_id: number;
  pref_drama: number;
  pref_comedy: number;
  pref_action: number;
  pref_thriller: number;
  pref_romance: number;
  pref_adventure: number;
  pref_sci_fi: number;
  pref_crime: number;
  pref_horror: number;
  pref_animation: number;
  _computed_at: Date;
}

export interface Trending {
  rank: number;
  movie_id: number;
  title: string;
  total_ratings: number;
  overall_avg_rating: number;
  recent_ratings: number;
  recent_avg_rating: number;
  latest_rating: Date;
  trending_score: number;
  window_days: number;
  as_of: Date;
}

export interface MovieStats {
  movie_id: number;
  title: string;
  total_ratings: number;
  overall_avg_rating: number;
  recent_ratings: number;
  recent_avg_rating: number;
  latest_rating: Date | null;
  trending_score: number;
}

/** A row of a versioned table: the row of the contract and the run that made it. */
export type Versioned<Row> = { run: number } & Row;

export interface StoredRecommendations {
  run: number;
  user_id: number;
  rank: number;
  movie_id: number;
  /** Dot product of the exported factors, rounded to 4 digits. */
  predicted_score: number;
}

export interface StoredSimilarMovies {
  run: number;
  movie_id: number;
  rank: number;
  similar_movie_id: number;
  /** Cosine of the item factors, rounded to 4 digits. */
  similarity: number;
}

/** Titles as they were when the version was made: a version shows its own catalogue. */
export interface StoredMovies {
  run: number;
  movie_id: number;
  title: string;
  genres: string;
}

export interface StoredUserFactors {
  run: number;
  user_id: number;
  /** 32-bit floats, one per latent dimension. */
  factors: number[];
}

export interface StoredItemFactors {
  run: number;
  movie_id: number;
  factors: number[];
}

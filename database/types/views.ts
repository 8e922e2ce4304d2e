/** What readers see: views over the versioned tables, joined to the one pointer row. */

export interface BatchRecs {
  user_id: number;
  rank: number;
  movie_id: number;
  title: string;
  genres: string;
  predicted_score: number;
  model_version: string;
  generated_at: Date;
  /** The family of the version, or `fold-in` for who was folded in since. */
  provenance: string;
}

export interface SimilarMovies {
  movie_id: number;
  rank: number;
  similar_movie_id: number;
  title: string;
  similarity: number;
  model_version: string;
  generated_at: Date;
}

/** Factors as text: a JSON array that restores the 32-bit floats exactly. */
export interface UserFactorsView {
  user_id: number;
  features_json: string;
}

export interface ItemFactorsView {
  movie_id: number;
  features_json: string;
}

/** Where a reader's list came from. */
export type Provenance = 'als' | 'fold-in' | 'popular' | 'trending';

/** Ratings by columns, of which so many rows are filled as whoever fills them says. */
export interface RatingBlock {
  users: Int32Array;
  movies: Int32Array;
  ratings: Float32Array;
  /** Since 1970, UTC. */
  seconds: Float64Array;
}

/** An empty block with places for so many rows. */
export function createBlock(places: number): RatingBlock {
  return {
    users: new Int32Array(places),
    movies: new Int32Array(places),
    ratings: new Float32Array(places),
    seconds: new Float64Array(places),
  };
}

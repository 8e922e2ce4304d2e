/** Ratings of the shape of MovieLens straight into columns: no database, twelve bytes a rating. */

import { activityOf, createTruth, popularityOf, type RatingShape, shapeOf } from '../data/rating-shape.ts';
import { RatingColumns, type RatingTriples } from '../recommender/index.ts';
import { createRandom } from '../recommender/random.ts';
import { runThread } from './threads.ts';

/** Ratings a user in MovieLens 25M, so that 25 million have its 162,541 users and 59,047 movies. */
const RATINGS_A_USER = 25_000_000 / 162_541;
const SEED = 42;
/** So many draws of a movie that the user has rated already, and the next free one is taken. */
const MISSES = 50;

/** Users and movies, each with at least one rating, of so many ratings. */
export function syntheticShape(ratings: number): RatingShape {
  const { users, movies } = shapeOf(ratings);
  return { users: Math.max(users, Math.round(ratings / RATINGS_A_USER)), movies };
}

/**
 * Generates ratings on a thread, in the engine's memory: long-tailed popularity and activity, half stars around a
 * low-rank truth, by user. The same number gives the same ratings.
 * @param ratings at least 1,000
 */
export async function synthesiseRatings(ratings: number): Promise<RatingColumns> {
  const columns = new RatingColumns(ratings);
  const { users, items, ratings: stars } = columns;
  await runThread('synthetic-ratings', { users, items, ratings: stars } satisfies RatingTriples);
  return columns;
}

/** The work of `synthesiseRatings`, on the thread: fills the columns. */
export function drawRatings(columns: RatingTriples): void {
  const ratings = columns.users.length;
  const shape = syntheticShape(ratings);
  const random = createRandom(SEED);
  const activity = activityOf(shape, ratings, random);
  const drawMovie = createDraw(popularityOf(shape.movies, random), random);
  const truth = createTruth(shape.movies, random);
  const ratedBy = new Int32Array(shape.movies).fill(-1);
  let row = 0;
  for (let user = 0; user < shape.users; user++) {
    truth.nextUser();
    for (let drawn = 0; drawn < activity[user]; drawn++) {
      // Every movie is the first that some user rates; what else users rate goes by popularity.
      let movie = user + drawn * shape.users;
      for (let miss = 0; movie >= shape.movies || ratedBy[movie] === user; miss++) {
        movie = miss < MISSES ? drawMovie() : (movie + 1) % shape.movies;
      }
      ratedBy[movie] = user;
      columns.users[row] = user + 1;
      columns.items[row] = movie + 1;
      columns.ratings[row++] = truth.rate(movie);
    }
  }
}

/**
 * Draws indices in proportion to weights, each in constant time.
 * Walker (1977) with Vose's tables (1991), "A Linear Algorithm For Generating Random Numbers With a Given
 * Distribution".
 */
function createDraw(weights: Float64Array, random: () => number): () => number {
  const count = weights.length;
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / count;
  const share = weights.map((weight) => weight / mean);
  const alias = new Uint32Array(count);
  const small: number[] = [];
  const large: number[] = [];
  share.forEach((value, index) => (value < 1 ? small : large).push(index));
  while (small.length > 0 && large.length > 0) {
    const [less] = small.splice(-1);
    const more = large[large.length - 1];
    alias[less] = more;
    share[more] -= 1 - share[less];
    if (share[more] < 1) small.push(...large.splice(-1));
  }
  // Rounding leaves shares that are one but for their last digits.
  for (const rest of [...small, ...large]) share[rest] = 1;
  return () => {
    const place = (random() / 2 ** 32) * count;
    const index = Math.trunc(place);
    return place - index < share[index] ? index : alias[index];
  };
}

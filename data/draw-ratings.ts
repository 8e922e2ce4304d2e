/** Ratings of the shape of MovieLens, drawn user by user: memory grows with users and movies, not ratings. */

import { createRandom } from '../recommender/random.ts';
import { type RatingBlock, createBlock } from './rating-block.ts';
import { type RatingShape, activityOf, popularityOf, shapeOf } from './rating-shape.ts';
import { createTruth } from './truth.ts';
import { createDraw } from './weighted-draw.ts';

export interface DrawOptions {
  ratings: number;
  seed: number;
  /** Seconds since 1970 after which nothing is rated. */
  end: number;
}

/** Ratings that are being drawn. */
export interface RatingDraw {
  shape: RatingShape;
  /** Holds the rows of one fill after another. */
  block: RatingBlock;
  /** Fills the block with the ratings of the next users, and gives the number of rows each time. */
  fills: Iterable<number>;
  /** RMSE of what was drawn against its own truth: what noise leaves to the best of models. */
  truthRmse: () => number;
}

const SECONDS_PER_DAY = 86_400;
/** Users arrive over so many days before the end. */
const DAYS = 7_000;
/** So many draws of a movie that the user has rated already, and the next free one is taken. */
const MISSES = 50;
/** Rows after which a fill ends with its user: few enough to stay in a processor's cache. */
const FILL_ROWS = 8_192;

/**
 * Draws ratings: users in order, every movie at least once, no pair twice. The same options give the same ratings.
 * @param options at least 1,000 ratings
 */
export function createRatingDraw({ ratings, seed, end }: DrawOptions): RatingDraw {
  const shape = shapeOf(ratings);
  const random = createRandom(seed);
  const uniform = (): number => random() / 2 ** 32;
  const activity = activityOf(shape, ratings, random);
  const drawMovie = createDraw(popularityOf(shape, ratings, random), random);
  const truth = createTruth(shape.movies, random);
  const ratedBy = new Int32Array(shape.movies).fill(-1);
  const block = createBlock(FILL_ROWS + activity.reduce((most, count) => Math.max(most, count)));
  let rows = 0;
  const drawUser = (user: number): void => {
    truth.nextUser();
    // Most rate in one evening; one in five goes on to the end.
    const arrival = end - Math.floor(uniform() * DAYS * SECONDS_PER_DAY);
    const span = uniform() < 0.8 ? SECONDS_PER_DAY / 4 : end - arrival;
    const movies = block.movies.subarray(rows, rows + activity[user]);
    for (let drawn = 0; drawn < movies.length; drawn++) {
      // Every movie is the first that some user rates; what else users rate goes by popularity.
      let movie = user + drawn * shape.users;
      for (let miss = 0; movie >= shape.movies || ratedBy[movie] === user; miss++) {
        movie = miss < MISSES ? drawMovie() : (movie + 1) % shape.movies;
      }
      ratedBy[movie] = user;
      movies[drawn] = movie + 1;
    }
    // In the order of the published files: by user, then by movie.
    movies.sort();
    for (const movie of movies) {
      block.users[rows] = user + 1;
      block.ratings[rows] = truth.rate(movie - 1);
      block.seconds[rows] = Math.min(end, arrival + Math.floor(uniform() * span));
      rows++;
    }
  };
  function* fill(): Generator<number> {
    for (let user = 0; user < shape.users;) {
      for (rows = 0; user < shape.users && rows < FILL_ROWS;) drawUser(user++);
      yield rows;
    }
  }
  return { shape, block, fills: fill(), truthRmse: () => Math.sqrt(truth.squares() / ratings) };
}

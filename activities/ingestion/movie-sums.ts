/** Exact sums by movie, as `gold.movie_totals` has them, of ratings as they come. */

import type { RowColumn } from '../../database/copy-binary.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import { createLookup } from '../../recommender/index.ts';

/** The columns of `rows`, with their types. */
export const MOVIE_SUMS = `movie_id integer, ratings integer, half_stars bigint, half_stars_squared bigint,
  positive integer, negative integer, first_at timestamptz, last_at timestamptz`;

/** Half-stars from which a rating is positive, and to which it is negative. */
export interface Thresholds {
  positive: number;
  negative: number;
}

const BLOCK_ROWS = 4096;

/**
 * Ratings, of which `count` are there, to be added in one loop: movies lie all over the memory, and only so is the next one waited
 * for beside the last.
 */
export class Block {
  readonly movies = new Int32Array(BLOCK_ROWS);
  readonly ratings = new Float32Array(BLOCK_ROWS);
  /** The halves of an instant as PostgreSQL sends it: microseconds since 2000. */
  readonly high = new Int32Array(BLOCK_ROWS);
  readonly low = new Int32Array(BLOCK_ROWS);
  count = 0;

  /** @returns whether there is no place for another */
  put(movie: number, rating: number, high: number, low: number): boolean {
    const row = this.count++;
    this.movies[row] = movie;
    this.ratings[row] = rating;
    this.high[row] = high;
    this.low[row] = low;
    return this.count === BLOCK_ROWS;
  }
}

/** A rating is up to ten half-stars. */
const MOST = 10;

/**
 * Places of a movie, beside each other, so that two lines of the processor's cache hold them at most: how many ratings it has, how many of each number of half-stars, and
 * the halves of its first instant and of its last.
 */
const PLACES = 16;
const FIRST = MOST + 1;
const LAST = FIRST + 2;

/** The lower half of an instant, such that a signed comparison orders it; and back. */
const toSigned = (low: number): number => low ^ 0x8000_0000;

export class MovieSums {
  readonly #movies: Int32Array;
  readonly #indexOf: (movie: number) => number;
  readonly #places: Int32Array;

  /** @param movies ascending */
  constructor(movies: Int32Array) {
    this.#movies = movies;
    this.#indexOf = createLookup(movies);
    this.#places = new Int32Array(movies.length * PLACES);
  }

  /** @throws where a movie is another, or a rating is none */
  add({ movies, ratings, high, low, count }: Block): void {
    const places = this.#places;
    for (let row = 0; row < count; row++) {
      const [movie, rating, upper, lower] = [movies[row], ratings[row], high[row], toSigned(low[row])];
      // Whole by its type too: a place by a double takes a conversion.
      const halfStars = (rating * 2) | 0;
      const index = this.#indexOf(movie);
      if (index < 0 || halfStars !== rating * 2 || halfStars < 1 || halfStars > MOST)
        throw new Error(
          `movie ${movie}, rated ${rating}: expected one of the catalogue, and half to five stars`,
        );
      const at = index * PLACES;
      const isOnly = places[at]++ === 0;
      places[at + halfStars]++;
      const first = places[at + FIRST];
      if (isOnly || upper < first || (upper === first && lower < places[at + FIRST + 1])) {
        places[at + FIRST] = upper;
        places[at + FIRST + 1] = lower;
      }
      const last = places[at + LAST];
      if (isOnly || upper > last || (upper === last && lower > places[at + LAST + 1])) {
        places[at + LAST] = upper;
        places[at + LAST + 1] = lower;
      }
    }
  }

  /** A row for each movie that has a rating. */
  rows({ positive, negative }: Thresholds): { columns: RowColumn[]; rows: number } {
    const rated = Int32Array.from(this.#movies.keys()).filter((index) => this.#places[index * PLACES] > 0);
    const sum = (weight: (halfStars: number) => number): Float64Array =>
      Float64Array.from(rated, (index) => {
        let total = 0;
        for (let halfStars = 1; halfStars <= MOST; halfStars++)
          total += weight(halfStars) * this.#places[index * PLACES + halfStars];
        return total;
      });
    const int4 = (values: ArrayLike<number>): RowColumn => ({
      type: 'int4',
      values: Int32Array.from(values),
    });
    const int8 = (values: Float64Array): RowColumn => ({
      type: 'int8',
      values: BigInt64Array.from(Array.from(values, BigInt)),
    });
    const instant = (place: number): RowColumn => ({
      type: 'int8',
      values: BigInt64Array.from(
        Array.from(rated, (index) => {
          const [high, lower] = this.#places.subarray(index * PLACES + place);
          return (BigInt(high) << 32n) | BigInt(toSigned(lower) >>> 0);
        }),
      ),
    });
    return {
      rows: rated.length,
      columns: [
        int4(rated.map((index) => this.#movies[index])),
        int4(sum(() => 1)),
        int8(sum((halfStars) => halfStars)),
        int8(sum((halfStars) => halfStars * halfStars)),
        int4(sum((halfStars) => (halfStars >= positive ? 1 : 0))),
        int4(sum((halfStars) => (halfStars <= negative ? 1 : 0))),
        instant(FIRST),
        instant(LAST),
      ],
    };
  }

  /** How many ratings there are of each value. */
  ratingCounts(): RatingCounts {
    const counts: RatingCounts = {};
    for (let halfStars = 1; halfStars <= MOST; halfStars++) {
      let total = 0;
      for (let at = halfStars; at < this.#places.length; at += PLACES) total += this.#places[at];
      if (total > 0) counts[String(halfStars / 2)] = total;
    }
    return counts;
  }
}

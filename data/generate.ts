/**
 * Deterministic MovieLens-shaped ratings with a known low-rank truth: popularity and activity are long-tailed,
 * and the last thirty days are populated. One user at a time: memory grows with users and movies, not ratings.
 */

import type { Connection } from '../database/connect.ts';
import { copyIn } from '../database/copy.ts';
import { UsageError } from '../config/settings.ts';
import { createRandom } from '../recommender/random.ts';
import { type LoadOptions, type Loaded, replaceSource } from './load.ts';
import { type RatingShape, activityOf, createTruth, popularityOf, shapeOf } from './rating-shape.ts';
import { createTitles } from './titles.ts';

export interface GenerateOptions extends LoadOptions {
  ratings: number;
  seed: number;
  /** Newest instant: nothing is rated later. The same seed and end give the same data. */
  end: Date;
}

const SECONDS_PER_DAY = 86_400;
/** Users arrive over so many days before the end. */
const DAYS = 7_000;
const LARGEST = 32_000_000;
/** Characters of a COPY chunk. */
const CHUNK = 1 << 18;

/**
 * Generates into the source.
 * @throws UsageError where the number of ratings is out of range
 */
export async function generateRatings(source: Connection, options: GenerateOptions): Promise<Loaded> {
  const { ratings, seed, end } = options;
  if (!Number.isInteger(ratings) || ratings < 1_000 || ratings > LARGEST) {
    throw new UsageError(
      `--ratings ${ratings}: expected a whole number from 1,000 to ${LARGEST.toLocaleString('en')}`,
    );
  }
  const shape = shapeOf(ratings);
  return replaceSource(
    source,
    `generate ratings=${ratings} seed=${seed} end=${end.toISOString()}`,
    async ({ client }) => {
      const movies = await copyIn(
        client,
        { table: 'movielens.movies', columns: ['movie_id', 'title', 'genres'] },
        createTitles(shape.movies, seed),
      );
      const count = await copyIn(
        client,
        { table: 'movielens.ratings', columns: ['user_id', 'movie_id', 'rating', 'rating_timestamp'] },
        ratingLines(options, shape),
      );
      return { ratings: count, movies };
    },
    options,
  );
}

function* ratingLines(
  { ratings, seed, end, onProgress }: GenerateOptions,
  shape: RatingShape,
): Generator<string> {
  const random = createRandom(seed);
  const uniform = (): number => random() / 2 ** 32;
  const activity = activityOf(shape, ratings, random);
  const cumulated = popularityOf(shape.movies, random);
  for (let movie = 1; movie < shape.movies; movie++) cumulated[movie] += cumulated[movie - 1];
  const truth = createTruth(shape.movies, random);
  const endSeconds = Math.floor(end.getTime() / 1000);
  const ratedBy = new Int32Array(shape.movies).fill(-1);
  let chunk = '';
  let sent = 0;
  for (let user = 0; user < shape.users; user++) {
    truth.nextUser();
    // Most rate in one evening; one in five goes on to the end.
    const arrival = endSeconds - Math.floor(uniform() * DAYS * SECONDS_PER_DAY);
    const span = uniform() < 0.8 ? SECONDS_PER_DAY / 4 : endSeconds - arrival;
    for (let drawn = 0; drawn < activity[user]; drawn++) {
      const movie = drawMovie(cumulated, ratedBy, user, uniform);
      ratedBy[movie] = user;
      const rating = truth.rate(movie);
      const seconds = Math.min(endSeconds, arrival + Math.floor(uniform() * span));
      chunk += `${user + 1}\t${movie + 1}\t${rating}\t${timestamp(seconds)}\n`;
      sent++;
      if (chunk.length >= CHUNK) {
        yield chunk;
        chunk = '';
        onProgress?.('ratings', sent);
      }
    }
  }
  yield chunk;
  onProgress?.('ratings', sent);
}

function timestamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19);
}

/** A movie by cumulated popularity that the user has not rated; the next free one after many misses. */
function drawMovie(
  cumulated: Float64Array,
  ratedBy: Int32Array,
  user: number,
  uniform: () => number,
): number {
  const total = cumulated[cumulated.length - 1];
  let movie = 0;
  for (let tries = 0; tries < 50; tries++) {
    movie = firstAbove(cumulated, uniform() * total);
    if (ratedBy[movie] !== user) return movie;
  }
  while (ratedBy[movie] === user) movie = (movie + 1) % cumulated.length;
  return movie;
}

function firstAbove(cumulated: Float64Array, value: number): number {
  let low = 0;
  let high = cumulated.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulated[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Deterministic MovieLens-shaped ratings with a known low-rank truth: popularity and activity are long-tailed,
 * and the last thirty days are populated. One user at a time: memory grows with users and movies, not ratings.
 */

import type { Connection } from '../database/connect.ts';
import { copyIn } from '../database/copy.ts';
import { UsageError } from '../config/settings.ts';
import { createRandom } from '../recommender/random.ts';
import { type LoadOptions, type Loaded, replaceSource } from './load.ts';
import { createTitles } from './titles.ts';

export interface GenerateOptions extends LoadOptions {
  ratings: number;
  seed: number;
  /** Newest instant: nothing is rated later. The same seed and end give the same data. */
  end: Date;
}

/** Latent dimensions of the truth. */
const TRUTH_RANK = 8;
/** Spread of what users and movies add to the mean, of the interaction, and of the noise, in stars. */
const SPREAD = { user: 0.4, movie: 0.45, interaction: 0.45, noise: 0.75 };
const MEAN = 3.55;
const SECONDS_PER_DAY = 86_400;
/** Users arrive over so many days before the end. */
const DAYS = 7_000;
const LARGEST = 32_000_000;
/** Characters of a COPY chunk. */
const CHUNK = 1 << 18;

/** Users and movies for a number of ratings, along the published sets of 100 thousand, 1 and 25 million. */
export function shapeOf(ratings: number): { users: number; movies: number } {
  const movies = Math.max(40, Math.round(Math.min(59_047, 1_682 * (ratings / 100_000) ** 0.645)));
  // Nobody rates more than half of the movies; few ratings need users enough to hold them.
  const users = Math.max(20, Math.round(ratings / 154), Math.ceil(ratings / (movies / 4)));
  return { users, movies };
}

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

/** Sum of twelve uniform numbers less six: close to a standard normal, and the same bits everywhere. */
function normal(random: () => number): number {
  let sum = -6;
  for (let draw = 0; draw < 12; draw++) sum += random() / 2 ** 32;
  return sum;
}

function* ratingLines(
  { ratings, seed, end, onProgress }: GenerateOptions,
  shape: { users: number; movies: number },
): Generator<string> {
  const random = createRandom(seed);
  const uniform = (): number => random() / 2 ** 32;
  const vectors = (rows: number): Float64Array =>
    Float64Array.from({ length: rows * TRUTH_RANK }, () => normal(random) / TRUTH_RANK ** 0.25);
  const activity = activityOf(shape.users, shape.movies, ratings, random);
  const popularity = popularityOf(shape.movies, random);
  const movieVectors = vectors(shape.movies);
  const movieBias = Float64Array.from({ length: shape.movies }, () => normal(random) * SPREAD.movie);
  const endSeconds = Math.floor(end.getTime() / 1000);
  const ratedBy = new Int32Array(shape.movies).fill(-1);
  let chunk = '';
  let sent = 0;
  for (let user = 0; user < shape.users; user++) {
    const vector = Float64Array.from({ length: TRUTH_RANK }, () => normal(random) / TRUTH_RANK ** 0.25);
    const bias = normal(random) * SPREAD.user;
    // Most rate in one evening; one in five goes on to the end.
    const arrival = endSeconds - Math.floor(uniform() * DAYS * SECONDS_PER_DAY);
    const span = uniform() < 0.8 ? SECONDS_PER_DAY / 4 : endSeconds - arrival;
    for (let drawn = 0; drawn < activity[user]; drawn++) {
      const movie = drawMovie(popularity, ratedBy, user, uniform);
      ratedBy[movie] = user;
      let interaction = 0;
      for (let i = 0; i < TRUTH_RANK; i++) interaction += vector[i] * movieVectors[movie * TRUTH_RANK + i];
      const stars =
        MEAN + bias + movieBias[movie] + SPREAD.interaction * interaction + SPREAD.noise * normal(random);
      const rating = Math.min(5, Math.max(0.5, Math.round(stars * 2) / 2));
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

/** Ratings of each user: log-normal-like, at least 20 where there are enough, in all exactly `ratings`. */
function activityOf(users: number, movies: number, ratings: number, random: () => number): Int32Array {
  const least = Math.min(20, Math.floor(ratings / users));
  const most = Math.floor(movies / 2);
  const weights = Float64Array.from({ length: users }, () => Math.exp(1.2 * normal(random)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const spare = ratings - least * users;
  const counts = Int32Array.from(weights, (weight) =>
    Math.min(most, least + Math.floor((spare * weight) / total)),
  );
  let missing = ratings - counts.reduce((sum, count) => sum + count, 0);
  for (let user = 0; missing > 0; user = (user + 1) % users) {
    if (counts[user] >= most) continue;
    counts[user]++;
    missing--;
  }
  return counts;
}

/** Cumulated popularity: a power of the place in a random order. */
function popularityOf(movies: number, random: () => number): Float64Array {
  const places = Float64Array.from({ length: movies }, () => random());
  const order = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
  const popularity = new Float64Array(movies);
  order.forEach((movie, place) => (popularity[movie] = (place + 12) ** -1.05));
  for (let movie = 1; movie < movies; movie++) popularity[movie] += popularity[movie - 1];
  return popularity;
}

/** A movie by popularity that the user has not rated; the next free one after many misses. */
function drawMovie(
  popularity: Float64Array,
  ratedBy: Int32Array,
  user: number,
  uniform: () => number,
): number {
  const total = popularity[popularity.length - 1];
  let movie = 0;
  for (let tries = 0; tries < 50; tries++) {
    movie = firstAbove(popularity, uniform() * total);
    if (ratedBy[movie] !== user) return movie;
  }
  while (ratedBy[movie] === user) movie = (movie + 1) % popularity.length;
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

/** What makes ratings MovieLens-shaped: how many users and movies, and how popularity and activity are spread. */

import { normal } from './truth.ts';

/** Ratings a user, and the growth of the catalogue, so that 25 million ratings have the shape of MovieLens 25M. */
const RATINGS_A_USER = 25_000_000 / 162_541;
const CATALOGUE = { movies: 1_682, ratings: 100_000, growth: 0.644458 };
/** Everybody in the published sets has rated so many movies. */
const LEAST_ACTIVITY = 20;
/** Of the logarithm of what users rate beyond that: half of them have rated less than 75 movies. */
const ACTIVITY_SPREAD = 1.35;

export interface RatingShape {
  users: number;
  movies: number;
}

/** Users and movies for a number of ratings, along the published sets of 100 thousand, 1 and 25 million. */
export function shapeOf(ratings: number): RatingShape {
  const grown = CATALOGUE.movies * (ratings / CATALOGUE.ratings) ** CATALOGUE.growth;
  const movies = Math.max(40, Math.round(grown));
  // Nobody rates more than half of the movies; few ratings need users enough to hold them.
  const users = Math.max(20, Math.round(ratings / RATINGS_A_USER), Math.ceil(ratings / (movies / 4)));
  return { users, movies };
}

/** Ratings of each user: log-normal-like, at least 20 where there are enough, in all exactly `ratings`. */
export function activityOf(
  { users, movies }: RatingShape,
  ratings: number,
  random: () => number,
): Int32Array {
  const least = Math.min(LEAST_ACTIVITY, Math.floor(ratings / users));
  const most = Math.floor(movies / 2);
  const weights = Float64Array.from({ length: users }, () => Math.exp(ACTIVITY_SPREAD * normal(random)));
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

/** Of popularity along the places of movies: `tail` is for sets up to a million ratings, and for 25 million. */
const POPULARITY = { head: 0.5, tail: [1.2, 2.9], bend: 1 / 17, least: 10 };

/**
 * Weight of each movie by its place in a random order: a power of the place, and a steeper one beyond the bend. Of 25
 * million ratings the movie in the middle then has six, and one movie in six more than a hundred; in sets up to a
 * million, which have fewer movies for their ratings, few are hardly ever rated.
 */
export function popularityOf({ movies }: RatingShape, ratings: number, random: () => number): Float64Array {
  const places = Float64Array.from({ length: movies }, () => random());
  const order = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
  const { head, bend, least } = POPULARITY;
  const [small, large] = POPULARITY.tail;
  const growth = Math.log(ratings / 1_000_000) / Math.log(25);
  const tail = small + (large - small) * Math.min(1, Math.max(0, growth));
  const popularity = new Float64Array(movies);
  order.forEach((movie, place) => {
    popularity[movie] = (place + least) ** -head * (1 + place / (movies * bend)) ** -tail;
  });
  return popularity;
}

/** What makes ratings MovieLens-shaped: long-tailed popularity and activity, and a known low-rank truth. */

/** Latent dimensions of the truth. */
const TRUTH_RANK = 8;
/** Spread of what users and movies add to the mean, of the interaction, and of the noise, in stars. */
const SPREAD = { user: 0.4, movie: 0.45, interaction: 0.45, noise: 0.75 };
const MEAN = 3.55;

export interface RatingShape {
  users: number;
  movies: number;
}

/** Users and movies for a number of ratings, along the published sets of 100 thousand, 1 and 25 million. */
export function shapeOf(ratings: number): RatingShape {
  const movies = Math.max(40, Math.round(Math.min(59_047, 1_682 * (ratings / 100_000) ** 0.645)));
  // Nobody rates more than half of the movies; few ratings need users enough to hold them.
  const users = Math.max(20, Math.round(ratings / 154), Math.ceil(ratings / (movies / 4)));
  return { users, movies };
}

/** Sum of twelve uniform numbers less six: close to a standard normal, and the same bits everywhere. */
function normal(random: () => number): number {
  let sum = -6;
  for (let draw = 0; draw < 12; draw++) sum += random() / 2 ** 32;
  return sum;
}

/** Ratings of each user: log-normal-like, at least 20 where there are enough, in all exactly `ratings`. */
export function activityOf(
  { users, movies }: RatingShape,
  ratings: number,
  random: () => number,
): Int32Array {
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

/** Weight of each movie: a power of its place in a random order. */
export function popularityOf(movies: number, random: () => number): Float64Array {
  const places = Float64Array.from({ length: movies }, () => random());
  const order = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
  const popularity = new Float64Array(movies);
  order.forEach((movie, place) => (popularity[movie] = (place + 12) ** -1.05));
  return popularity;
}

/** Whose taste is behind the ratings: one user after another. */
export interface Truth {
  nextUser(): void;
  /** What the present user gives a movie: half stars from 0.5 to 5. */
  rate(movie: number): number;
}

/** Users and movies as points of a low-rank space, with biases and noise. */
export function createTruth(movies: number, random: () => number): Truth {
  const coordinate = (): number => normal(random) / TRUTH_RANK ** 0.25;
  const movieVectors = Float64Array.from({ length: movies * TRUTH_RANK }, coordinate);
  const movieBias = Float64Array.from({ length: movies }, () => normal(random) * SPREAD.movie);
  const vector = new Float64Array(TRUTH_RANK);
  let bias = 0;
  return {
    nextUser: () => {
      for (let i = 0; i < TRUTH_RANK; i++) vector[i] = coordinate();
      bias = normal(random) * SPREAD.user;
    },
    rate: (movie) => {
      let interaction = 0;
      for (let i = 0; i < TRUTH_RANK; i++) interaction += vector[i] * movieVectors[movie * TRUTH_RANK + i];
      const stars =
        MEAN + bias + movieBias[movie] + SPREAD.interaction * interaction + SPREAD.noise * normal(random);
      return Math.min(5, Math.max(0.5, Math.round(stars * 2) / 2));
    },
  };
}

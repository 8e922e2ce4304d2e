/** Whose taste is behind generated ratings: users and movies as points of a low-rank space. */

/** Latent dimensions of the truth. */
const RANK = 8;
/** Spread of what users and movies add to the mean, of the interaction, and of the noise, in stars. */
const SPREAD = { user: 0.4, movie: 0.45, interaction: 0.45, noise: 0.75 };
const MEAN = 3.55;
/** So many noises are drawn once, and one of them for each rating: it then takes one random number, not twelve. */
const NOISES = 1 << 14;

/** Sum of twelve uniform numbers less six: close to a standard normal, and the same bits everywhere. */
export function normal(random: () => number): number {
  let sum = -6;
  for (let draw = 0; draw < 12; draw++) sum += random() / 2 ** 32;
  return sum;
}

/** The taste of one user after another. */
export interface Truth {
  nextUser(): void;
  /** What the present user gives a movie: half stars from 0.5 to 5. */
  rate(movie: number): number;
  /** Sum of the squares by which what was given is off the truth: what noise and half stars add. */
  squares(): number;
}

/** Users and movies with biases and a low-rank interaction, and noise on each rating. */
export function createTruth(movies: number, random: () => number): Truth {
  const coordinate = (): number => normal(random) / RANK ** 0.25;
  const movieVectors = Float64Array.from({ length: movies * RANK }, coordinate);
  const movieBias = Float64Array.from({ length: movies }, () => normal(random) * SPREAD.movie);
  const vector = new Float64Array(RANK);
  const noise = Float64Array.from({ length: NOISES }, () => normal(random) * SPREAD.noise);
  let bias = 0;
  let squares = 0;
  return {
    nextUser: () => {
      for (let i = 0; i < RANK; i++) vector[i] = coordinate();
      bias = normal(random) * SPREAD.user;
    },
    rate: (movie) => {
      let interaction = 0;
      for (let i = 0; i < RANK; i++) interaction += vector[i] * movieVectors[movie * RANK + i];
      const stars = MEAN + bias + movieBias[movie] + SPREAD.interaction * interaction;
      const given = Math.round((stars + noise[random() % NOISES]) * 2) / 2;
      const rating = Math.min(5, Math.max(0.5, given));
      squares += (rating - Math.min(5, Math.max(0.5, stars))) ** 2;
      return rating;
    },
    squares: () => squares,
  };
}

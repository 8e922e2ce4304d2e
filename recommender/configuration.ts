/** What is trained: a family and its hyper-parameters. */

interface Factorization {
  /** Latent dimensions, 1 to 256. */
  rank: number;
  /** Full iterations, both sides. */
  iterations: number;
  /** Lambda, scaled by each row's number of ratings (Zhou et al. 2008; as Spark MLlib does). */
  regularization: number;
  seed: number;
  /** Stops early, after an iteration that lowers the objective by less than this share of it. */
  tolerance?: number;
}

/** Explicit feedback: a rating is the dot product of two factors. */
export interface AlsConfiguration extends Factorization {
  family: 'als';
}

/** Explicit feedback with global mean, user and item biases (Koren, Bell and Volinsky 2009). */
export interface BiasedAlsConfiguration extends Factorization {
  family: 'als-biased';
}

/** Confidence-weighted implicit feedback (Hu, Koren and Volinsky 2008): it ranks and predicts no rating. */
export interface ImplicitAlsConfiguration extends Factorization {
  family: 'als-implicit';
  /** Confidence of a rating r is 1 + alpha r. */
  alpha: number;
}

/** Most-popular: the baseline that every ranking must beat. */
export interface PopularConfiguration {
  family: 'popular';
}

export type FactorizationConfiguration = AlsConfiguration | BiasedAlsConfiguration | ImplicitAlsConfiguration;
export type Configuration = FactorizationConfiguration | PopularConfiguration;
export type Family = Configuration['family'];

/** Whether a family's scores are ratings; RMSE and MAE do not apply to the others. */
export function predictsRatings({ family }: Pick<Configuration, 'family'>): boolean {
  return family === 'als' || family === 'als-biased';
}

/** Canonical readable text: equal for equal configurations, and what tables call them by. */
export function configurationKey(configuration: Configuration): string {
  if (configuration.family === 'popular') return 'popular';
  const { family, rank, iterations, regularization, seed, tolerance } = configuration;
  const alpha = family === 'als-implicit' ? ` alpha=${configuration.alpha}` : '';
  const early = tolerance === undefined ? '' : ` tol=${tolerance}`;
  return `${family} rank=${rank} iterations=${iterations} reg=${regularization}${alpha} seed=${seed}${early}`;
}

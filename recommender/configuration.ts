/** What is trained: a family and its hyper-parameters. */

export interface AlsConfiguration {
  family: 'als';
  /** Latent dimensions, 1 to 256. */
  rank: number;
  /** Full iterations, both sides. */
  iterations: number;
  /** Lambda, scaled by each row's number of ratings (Zhou et al. 2008; as Spark MLlib does). */
  regularization: number;
  seed: number;
}

/** Most-popular: the baseline that every ranking must beat. */
export interface PopularConfiguration {
  family: 'popular';
}

export type Configuration = AlsConfiguration | PopularConfiguration;

/** Canonical readable text: equal for equal configurations, and what tables call them by. */
export function configurationKey(configuration: Configuration): string {
  if (configuration.family === 'popular') return 'popular';
  const { family, rank, iterations, regularization, seed } = configuration;
  return `${family} rank=${rank} iterations=${iterations} reg=${regularization} seed=${seed}`;
}

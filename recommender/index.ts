/** Pure computing: typed arrays in, typed arrays out. No SQL, no Temporal, no files but its own thread code. */

export { abGroup, crc32OfText, splitRatings } from './split.ts';
export { pairedRmseBootstrap } from './bootstrap.ts';
export type { BootstrapResult, PairedErrors } from './bootstrap.ts';
export { configurationKey, predictsRatings } from './configuration.ts';
export type {
  AlsConfiguration,
  BiasedAlsConfiguration,
  Configuration,
  FactorizationConfiguration,
  Family,
  ImplicitAlsConfiguration,
  PopularConfiguration,
} from './configuration.ts';
export { evaluateModel } from './metrics.ts';
export type { Evaluation, UserValues } from './metrics.ts';
export { buildRatingMatrix } from './ratings.ts';
export type { RatingMatrix, RatingTriples } from './ratings.ts';
export { score } from './model.ts';
export type { Model } from './model.ts';
export { similarItems } from './similar.ts';
export { recommendTopN } from './topn.ts';
export type { RankedLists } from './ranked-lists.ts';
export { UnusableModelError, trainModel } from './train.ts';
export type { IterationProgress, TrainingCheckpoint } from './train.ts';

/** Pure computing: typed arrays in, typed arrays out. No SQL, no Temporal, no files but its own thread code. */

export { collectGarbage, collectLatestGarbage } from './threads/collect-garbage.ts';
export { abGroup, crc32OfText, splitRatings, userGroup } from './split.ts';
export { checksumOfRows, checksumRatings, joinChecksums } from './checksum.ts';
export { createLookup } from './ids.ts';
export { holm, pairedBootstrap } from './bootstrap.ts';
export type { BootstrapResult, PairedValues } from './bootstrap.ts';
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
export { groupHoldout } from './holdout.ts';
export type { GroupedHoldout } from './holdout.ts';
export { evaluateModel } from './metrics.ts';
export type { Evaluation, SampledLists, UserValues } from './metrics.ts';
export { exportedWidth } from './export-factors.ts';
export { NotEnoughMemoryError, sharedArray } from './memory.ts';
export { RatingColumns, RatingMatrix, buildRatingMatrix, ratingAt } from './ratings.ts';
export type { RatingTriples, SparseRows } from './ratings.ts';
export { foldInItems, foldInUsers } from './fold-in.ts';
export type { FoldedRows } from './fold-in.ts';
export { predictPairs, score } from './model.ts';
export type { Model } from './model.ts';
export { similarItems } from './similar.ts';
export { recommendFolded } from './recommend-folded.ts';
export { recommendTopN } from './topn.ts';
export type { RankedLists } from './ranked-lists.ts';
export { UnusableModelError, trainModel } from './train.ts';
export type { StartFactors } from './start.ts';
export type { IterationProgress } from './train.ts';
export type { CheckpointPart, TrainingCheckpoint } from './training-checkpoint.ts';

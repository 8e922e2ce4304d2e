/**
 * What a list of runs can be filtered by, e.g. `NightjarOutcome = 'blocked'`. The development server has room
 * for ten Keyword and three each of Double, Datetime and Int attributes in a namespace.
 */

import { defineSearchAttributeKey } from '@temporalio/common';

export const searchAttributes = {
  asOf: defineSearchAttributeKey('NightjarAsOf', 'DATETIME'),
  run: defineSearchAttributeKey('NightjarRun', 'INT'),
  stage: defineSearchAttributeKey('NightjarStage', 'KEYWORD'),
  outcome: defineSearchAttributeKey('NightjarOutcome', 'KEYWORD'),
  modelVersion: defineSearchAttributeKey('NightjarModelVersion', 'KEYWORD'),
  champion: defineSearchAttributeKey('NightjarChampion', 'KEYWORD'),
  alert: defineSearchAttributeKey('NightjarAlert', 'KEYWORD'),
  rmse: defineSearchAttributeKey('NightjarRmse', 'DOUBLE'),
};

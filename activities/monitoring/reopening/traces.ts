/** What each stage of a night leaves: by this a run knows what is done, what is there and what is to be undone. */

import type { NightStage } from '../../../config/stages.ts';
import type { GateScope } from '../../../database/types/index.ts';
import type { VersionedTable } from '../../../database/versions.ts';
import { BATCH_TABLES, SNAPSHOT_TABLES } from '../../publishing/store-tables.ts';
import { OPERATOR_STAGE, SELECTION_STAGE } from '../../selection/result.ts';

interface Trace {
  /** Its rows in `pipeline.stages`; without those of the twins of the configurations, whose names hold their keys. */
  rows: readonly string[];
  /** Tables that have a partition of the run by it. */
  tables?: readonly VersionedTable[];
  /** Where it is a gate: whose results it has written. */
  gate?: GateScope;
}

const gate = (scope: GateScope): Trace => ({ rows: [`gate-${scope}`], gate: scope });

const TWIN = 'evaluate ';
const BASELINE = `${TWIN}popular`;

export const TRACES: Record<NightStage, Trace> = {
  'source gate': gate('source'),
  bronze: { rows: ['bronze'], tables: BATCH_TABLES },
  'bronze gate': gate('bronze'),
  silver: { rows: ['silver'], tables: ['silver.ratings', ...SNAPSHOT_TABLES] },
  'silver gate': gate('silver'),
  features: {
    rows: ['user-features', 'movie-features', 'user-genre-preferences'],
    tables: ['store.user_features', 'store.movie_features', 'store.user_genre_preferences'],
  },
  'features gate': gate('features'),
  split: { rows: ['split'] },
  baseline: { rows: [BASELINE] },
  // The comparison is made when the twin of every challenger is.
  'A/B test': { rows: ['compare-arms'] },
  champion: { rows: [] },
  selection: { rows: [SELECTION_STAGE] },
  operator: { rows: [OPERATOR_STAGE] },
  refit: { rows: ['refit'], tables: ['store.user_factors', 'store.item_factors'] },
  'model gate': gate('model'),
  publish: {
    rows: ['recommendations', 'similar-movies', 'trending', 'movie-stats'],
    tables: [
      'store.batch_recs',
      'store.movies',
      'store.similar_movies',
      'store.trending',
      'store.movie_stats',
    ],
  },
  'publish gate': { ...gate('publish'), rows: ['gate-publish', 'publish'] },
  'clean up': { rows: ['retire-versions'] },
};

/** Stage of a re-opened run by which what the undone ones have left in partitions goes. */
export const UNDO_STAGE = 'undo';

/** The row in `pipeline.stages` of a configuration's evaluation twin. */
export function twinRow(configuration: string): string {
  return TWIN + configuration;
}

/** The configuration whose evaluation twin a row in `pipeline.stages` is of; null where it is of none. */
export function twinOf(row: string): string | null {
  return row.startsWith(TWIN) ? row.slice(TWIN.length) : null;
}

/**
 * The stage of the night that a row of `pipeline.stages` is of.
 * @param challengers keys of the run's challengers
 */
export function nightStageOf(row: string, challengers: string[]): NightStage {
  for (const [stage, { rows }] of Object.entries(TRACES)) if (rows.includes(row)) return stage as NightStage;
  const twin = twinOf(row);
  if (twin !== null) return challengers.includes(twin) ? 'A/B test' : 'champion';
  throw new Error(`stage ${row} of the ledger is of no stage of a night: name it in reopening/traces.ts`);
}

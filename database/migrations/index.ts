/** Forward-only; a migration that has landed is frozen, and a change is a new file here. */

import type { Migration } from 'kysely/migration';
import * as lake from './0001-lake.ts';
import * as store from './0002-store.ts';
import * as pipeline from './0003-pipeline.ts';
import * as serving from './0004-serving.ts';
import * as gridSearch from './0005-grid-search.ts';
import * as engine from './0006-engine.ts';
import * as quality from './0007-quality.ts';
import * as alerts from './0008-alerts.ts';
import * as rollback from './0009-rollback.ts';
import * as selection from './0010-selection.ts';
import * as abTests from './0011-ab-tests.ts';
import * as churn from './0012-churn.ts';
import * as rerun from './0013-rerun.ts';
import * as incremental from './0014-incremental.ts';
import * as speed from './0015-speed.ts';
import * as acceptedBatches from './0016-accepted-batches.ts';
import * as plannedReads from './0017-planned-reads.ts';
import * as chunkedBatches from './0018-chunked-batches.ts';
import * as refitStarts from './0019-refit-starts.ts';
import * as ratingCounts from './0020-rating-counts.ts';

export const migrations: Record<string, Migration> = {
  '0001-lake': lake,
  '0002-store': store,
  '0003-pipeline': pipeline,
  '0004-serving': serving,
  '0005-grid-search': gridSearch,
  '0006-engine': engine,
  '0007-quality': quality,
  '0008-alerts': alerts,
  '0009-rollback': rollback,
  '0010-selection': selection,
  '0011-ab-tests': abTests,
  '0012-churn': churn,
  '0013-rerun': rerun,
  '0014-incremental': incremental,
  '0015-speed': speed,
  '0016-accepted-batches': acceptedBatches,
  '0017-planned-reads': plannedReads,
  '0018-chunked-batches': chunkedBatches,
  '0019-refit-starts': refitStarts,
  '0020-rating-counts': ratingCounts,
};

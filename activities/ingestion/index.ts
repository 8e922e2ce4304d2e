import { restoreBatch } from './restore-batch.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type BronzeResult, ingestBronze } from './ingest-bronze.ts';
import { type SilverResult, buildSilver } from './build-silver.ts';

export type { BronzeResult } from './ingest-bronze.ts';
export type { SilverResult } from './build-silver.ts';

export type IngestionActivities = ReturnType<typeof createIngestionActivities>;

/** From the source to the snapshot. */
export function createIngestionActivities(dependencies: ActivityDependencies) {
  return {
    /** Reads the source as it is into a batch of bronze. */
    ingestBronze: (input: RunReference): Promise<BronzeResult> =>
      withHeartbeat((heartbeat) => ingestBronze(dependencies, input, heartbeat)),
    /** Cleans and enriches the batch into the run's snapshot, and sets aside what it refuses. */
    buildSilver: (input: RunReference): Promise<SilverResult> =>
      withHeartbeat(async (heartbeat) => {
        await restoreBatch(dependencies, input, heartbeat);
        return buildSilver(dependencies, input, heartbeat);
      }),
  };
}

import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { type CheckReport, type CheckSourceInput, checkSource } from './check-source.ts';
import { restoreBatch } from '../ingestion/restore-batch.ts';
import { type GateInput, type GateResult, runGate } from './run-gate.ts';

export type { CheckReport, CheckSourceInput } from './check-source.ts';
export type { GateInput, GateResult } from './run-gate.ts';

export type QualityActivities = ReturnType<typeof createQualityActivities>;

/** Gates: sets of checks that decide whether the run goes on. */
export function createQualityActivities(dependencies: ActivityDependencies) {
  return {
    runGate: (input: GateInput): Promise<GateResult> =>
      withHeartbeat(async (heartbeat) => {
        if (input.scope === 'bronze') await restoreBatch(dependencies, input, heartbeat);
        return runGate(dependencies, input, heartbeat.signal);
      }),
    checkSource: (input: CheckSourceInput): Promise<CheckReport[]> =>
      withHeartbeat(({ signal }) => checkSource(dependencies, input, signal)),
  };
}

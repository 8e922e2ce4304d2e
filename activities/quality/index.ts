import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { type CheckReport, type CheckSourceInput, checkSource } from './check-source.ts';
import { type GateInput, type GateResult, runGate } from './run-gate.ts';

export type { CheckReport, CheckSourceInput } from './check-source.ts';
export type { GateInput, GateResult } from './run-gate.ts';

export type QualityActivities = ReturnType<typeof createQualityActivities>;

/** Gates: sets of checks that decide whether the run goes on. */
export function createQualityActivities(dependencies: ActivityDependencies) {
  return {
    runGate: (input: GateInput): Promise<GateResult> =>
      withHeartbeat(({ signal }) => runGate(dependencies, input, signal)),
    checkSource: (input: CheckSourceInput): Promise<CheckReport[]> =>
      withHeartbeat(({ signal }) => checkSource(dependencies, input, signal)),
  };
}

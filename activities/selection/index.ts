import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type ArmsResult, type CompareArmsInput, compareArms } from './compare-arms.ts';
import { type AbTestOutcome, type FinishAbTestInput, finishAbTest } from './finish-ab-test.ts';
import { type OperatorInput, decideByOperator } from './decide-by-operator.ts';
import type { SelectionResult } from './result.ts';
import { selectModel } from './select-model.ts';

export type { ArmsResult, CompareArmsInput } from './compare-arms.ts';
export type { AbTestOutcome } from './finish-ab-test.ts';
export type { SelectionResult } from './result.ts';

export type SelectionActivities = ReturnType<typeof createSelectionActivities>;

/** Comparing evaluation twins and deciding which configuration serves. */
export function createSelectionActivities(dependencies: ActivityDependencies) {
  return {
    compareArms: (input: CompareArmsInput): Promise<ArmsResult> =>
      withHeartbeat(({ signal }) => compareArms(dependencies, input, signal)),
    finishAbTest: (input: FinishAbTestInput): Promise<AbTestOutcome> =>
      withHeartbeat(({ signal }) => finishAbTest(dependencies, input, signal)),
    selectModel: (input: RunReference): Promise<SelectionResult> =>
      withHeartbeat(({ signal }) => selectModel(dependencies, input, signal)),
    decideByOperator: (input: OperatorInput): Promise<SelectionResult> =>
      withHeartbeat(({ signal }) => decideByOperator(dependencies.connection, input, signal)),
  };
}

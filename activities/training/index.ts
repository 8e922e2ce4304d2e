import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { runStage } from '../support/stage.ts';
import {
  type ArmTwinInput,
  type ArmTwinResult,
  type BeginAbTestInput,
  type BegunAbTest,
  beginAbTest,
  evaluateArmTwin,
} from './ab-test.ts';
import { type EvaluateTwinInput, type TwinResult, evaluateTwin } from './evaluate-twin.ts';
import { type GridPointInput, type GridPointResult, evaluateGridPoint } from './grid-point.ts';
import {
  type BeginGridSearchInput,
  type BegunGridSearch,
  type GridSearchOutcome,
  type GridSearchReference,
  beginGridSearch,
  finishGridSearch,
} from './grid-search.ts';
import { type RefitResult, refitModel } from './refit-model.ts';
import { type SplitResult, splitSnapshot } from './split-snapshot.ts';

export type { EvaluateTwinInput, TwinResult } from './evaluate-twin.ts';
export type { GridPointInput, GridPointResult } from './grid-point.ts';
export type { GridSearchOutcome } from './grid-search.ts';
export type { RefitResult } from './refit-model.ts';
export type { SplitResult } from './split-snapshot.ts';

export type TrainingActivities = ReturnType<typeof createTrainingActivities>;

/** The model input, evaluation twins, grid searches, A/B tests and the model to be served. */
export function createTrainingActivities(dependencies: ActivityDependencies) {
  const { connection } = dependencies;
  return {
    /** Counts and checksums the stable split of the run's snapshot. */
    splitHoldout: ({ run }: RunReference): Promise<SplitResult> =>
      withHeartbeat(({ signal }) =>
        runStage(connection, { run, stage: 'split', signal }, (attempt) =>
          splitSnapshot(dependencies, attempt, signal),
        ),
      ),

    /** Trains a configuration on the train part only and measures it on the holdout. */
    evaluateTwin: (input: EvaluateTwinInput): Promise<TwinResult> =>
      withHeartbeat((heartbeat) => evaluateTwin(dependencies, input, heartbeat)),

    /** Trains the chosen configuration on the whole snapshot: the model version to be served. */
    refitModel: (input: RunReference): Promise<RefitResult> =>
      withHeartbeat((heartbeat) => refitModel(dependencies, input, heartbeat)),

    /** Enters a grid search, or finds the one that its workflow has. */
    beginGridSearch: (input: BeginGridSearchInput): Promise<BegunGridSearch> =>
      beginGridSearch(dependencies, input),

    /** Trains and measures one point of a grid search, once. */
    evaluateGridPoint: (input: GridPointInput): Promise<GridPointResult> =>
      withHeartbeat((heartbeat) => evaluateGridPoint(dependencies, input, heartbeat)),

    /** Chooses the best point of a grid search whose points have all been tried. */
    finishGridSearch: (input: GridSearchReference): Promise<GridSearchOutcome> =>
      finishGridSearch(dependencies, input),

    /** Enters an ad-hoc A/B test, or finds the one that its workflow has. */
    beginAbTest: (input: BeginAbTestInput): Promise<BegunAbTest> => beginAbTest(dependencies, input),

    /** Trains and measures one twin of an ad-hoc A/B test, once. */
    evaluateArmTwin: (input: ArmTwinInput): Promise<ArmTwinResult> =>
      withHeartbeat((heartbeat) => evaluateArmTwin(dependencies, input, heartbeat)),
  };
}

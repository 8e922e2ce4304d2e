import { CancellationScope, executeChild, patched, setWorkflowOptions } from '@temporalio/workflow';
import type { BegunRun } from '../activities/monitoring/index.ts';
import { abTest } from './ab-test.ts';
import type { NightlyRequest, NightlyResult } from './contracts.ts';
import * as activities from './proxies.ts';
import { publishRecommendations } from './publish-recommendations.ts';
import { refreshFeatures } from './refresh-features.ts';
import { announce, tellOperator } from './support/alerts.ts';
import { beginNight } from './support/begin.ts';
import { childOptions } from './support/children.ts';
import { describeFailure } from './support/failures.ts';
import { nominalTime, showIdentity, showOutcome } from './support/identity.ts';
import { type DecisionPoint, createDecisionPoint, questionOf } from './support/operator.ts';
import { sideBySide } from './support/side-by-side.ts';
import { type StageBoard, createStageBoard } from './support/stage-board.ts';

/**
 * A night of the recommender for one as-of: ratings become a snapshot, the snapshot becomes features and a
 * model chosen on a holdout that no candidate has seen, the model becomes what readers see. A gate that fails
 * stops the night before anything downstream is written, and what is being served stays.
 *
 * @returns the outcome, also of a night that was blocked; asked again for an as-of that has one, that outcome
 * @throws GateFailed, RunConflict, InvalidRequest and what else `activities/support/failures.ts` names
 */
export async function nightlyPipeline(request: NightlyRequest): Promise<NightlyResult> {
  const board = createStageBoard();
  const operator = createDecisionPoint();
  const asOf = request.asOf ?? nominalTime();

  const begun = await beginNight(board, request, asOf);
  if (begun.known !== null) return showOutcome(board, begun.known);
  return runStages(begun, asOf, { board, operator });
}

/** The stages of a run that has begun, and its end whatever happens. A stage that is done answers what it found then. */
export async function runStages(
  begun: BegunRun,
  asOf: string,
  { board, operator }: { board: StageBoard; operator: DecisionPoint },
): Promise<NightlyResult> {
  const { run } = begun;
  board.identify(run, asOf);
  showIdentity(run, asOf);

  try {
    if (begun.reopened) await board.stage('undo', () => activities.dropUndone({ run }));
    await board.stage('source gate', () => activities.runGate({ run, scope: 'source' }));
    const { follows } = await board.stage('bronze', () => activities.ingestBronze({ run }));
    await board.stage('bronze gate', () => activities.runGate({ run, scope: 'bronze' }));
    await board.stage('silver', () => activities.buildSilver({ run }));
    await board.stage('silver gate', () => activities.runGate({ run, scope: 'silver' }));

    const features = (): Promise<unknown> =>
      board.stage('features', () => executeChild(refreshFeatures, childOptions('features', { run })));
    const split = (): Promise<unknown> => board.stage('split', () => activities.splitHoldout({ run }));
    // Of a whole snapshot features are summed from the copy that the split leaves on its host.
    const isSplit = follows === null && patched('split-before-features');
    if (isSplit) await split();
    const experiments = async (): Promise<void> => {
      if (!isSplit) await split();
      await board.stage('baseline', () =>
        activities.evaluateTwin({ run, configuration: { family: 'popular' } }),
      );
      await board.stage('A/B test', () =>
        executeChild(abTest, childOptions('ab-test', { run, arms: begun.challengers })),
      );
      for (const champion of begun.champion) {
        await board.stage('champion', () => activities.evaluateTwin({ run, configuration: champion }));
      }
    };
    // Of the same snapshot, and each leaves processors idle that the other can use.
    if (patched('features-beside-experiments')) {
      await sideBySide(features, experiments);
    } else {
      await features();
      await experiments();
    }

    let selection = await board.stage('selection', () => activities.selectModel({ run }));
    if (selection.ask !== undefined) {
      const question = questionOf(run, selection.reason, selection.ask);
      if (begun.word === undefined) await tellOperator();
      const word = begun.word ?? (await board.stage('operator', () => operator.ask(question), question));
      selection = await board.stage('verdict', () => activities.decideByOperator({ run, ...word }));
    }

    if (selection.serve) {
      await board.stage('refit', () => activities.refitModel({ run }));
      await board.stage('model gate', () => activities.runGate({ run, scope: 'model' }));
      await board.stage('publish', () =>
        executeChild(publishRecommendations, childOptions('publish', { run })),
      );
    }
    await board.stage('clean up', () => activities.retireVersions({ run }));

    return await announce(board, await board.stage('run log', () => activities.finishRun({ run })));
  } catch (error) {
    // Also when the night was cancelled: its row in the ledger is closed and its log written all the same.
    await CancellationScope.nonCancellable(async () => {
      const failure = describeFailure(error, board.failedStage());
      await announce(board, await activities.failRun({ run, ...failure }));
    });
    throw error;
  }
}

// A defect in workflow code fails the run at once; without this it would be retried until the timeout.
setWorkflowOptions({ failureExceptionTypes: [Error] }, nightlyPipeline);

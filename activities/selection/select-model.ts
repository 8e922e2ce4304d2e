import type { ModelConfiguration } from '../../config/settings.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { configurationKey } from '../../recommender/index.ts';
import { raiseAlert } from '../monitoring/alerts.ts';
import { terminalFailure } from '../support/failures.ts';
import { type Run, type RunReference, loadRun } from '../support/run.ts';
import { runStage } from '../support/stage.ts';
import { servingChampion } from './champion.ts';
import { type Decision, decide } from './decide.ts';
import { type PairedComparison, comparePaired, insertComparison } from './paired-comparison.ts';
import { SELECTION_STAGE, type SelectionResult } from './result.ts';

/** Decides which configuration serves after tonight, and registers tonight's version of it. */
export function selectModel(
  connection: Connection,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<SelectionResult> {
  return runStage(connection, { run, stage: SELECTION_STAGE, signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const rmse = await evaluatedRmse(connection.db, run);
    const challenger = context.settings.challengers
      .map((parameters) => candidate(parameters, rmse, run))
      .reduce((best, other) => (other.rmse < best.rmse ? other : best));
    const served = await servingChampion(connection.db);
    const champion = served === null ? null : candidate(served.parameters, rmse, run);
    const comparison =
      champion === null || champion.configuration === challenger.configuration
        ? null
        : await comparePaired(
            connection.db,
            run,
            champion.configuration,
            challenger.configuration,
            context.settings.selection,
            signal,
          );
    const decision = decide(
      { challenger, champion, comparison, mayPublish: context.mayPublish },
      context.settings,
    );
    const chosen = champion?.configuration === decision.configuration ? champion : challenger;
    const result: SelectionResult = {
      rows: 1,
      decision: decision.decision,
      serve: decision.decision !== 'blocked' && decision.decision !== 'not_published',
      configuration: chosen.configuration,
      parameters: chosen.parameters,
      modelVersion: `${chosen.parameters.family}-rank${chosen.parameters.rank}-run${run}`,
      from: champion?.configuration ?? null,
      reason: decision.reason,
      numbers: numbersOf(challenger.rmse, champion?.rmse ?? null, comparison),
      note: decision.decision,
    };
    return attempt.finish(async ({ db }) => {
      if (comparison !== null) await insertComparison(db, run, comparison);
      await registerVersion(db, context, result);
      await recordAlarm(db, run, decision);
      if (!result.serve) await recordDecision(db, run, result);
      return result;
    });
  });
}

interface Candidate {
  configuration: string;
  parameters: ModelConfiguration;
  rmse: number;
}

async function evaluatedRmse(db: Db, run: number): Promise<Map<string, number | null>> {
  const rows = await db
    .selectFrom('experiments.evaluations')
    .select(['configuration', 'rmse'])
    .where('run', '=', run)
    .execute();
  return new Map(rows.map(({ configuration, rmse }) => [configuration, rmse]));
}

function candidate(parameters: ModelConfiguration, rmse: Map<string, number | null>, run: number): Candidate {
  const configuration = configurationKey(parameters);
  const measured = rmse.get(configuration);
  if (typeof measured !== 'number' || !Number.isFinite(measured)) {
    throw terminalFailure(
      'ModelUnusable',
      `run ${run}, selection: ${configuration} has no finite holdout RMSE; expected its evaluation twin to be measured first`,
    );
  }
  return { configuration, parameters, rmse: measured };
}

function numbersOf(
  challengerRmse: number,
  championRmse: number | null,
  comparison: PairedComparison | null,
): SelectionResult['numbers'] {
  return {
    challenger_rmse: challengerRmse,
    champion_rmse: championRmse,
    difference: comparison?.difference ?? null,
    interval_low: comparison?.low ?? null,
    interval_high: comparison?.high ?? null,
  };
}

/** One row of metadata a version, with the metrics of its twin; trained and served only if the night goes on. */
async function registerVersion(db: Db, { run, codeVersion }: Run, result: SelectionResult): Promise<void> {
  const twin = await db
    .selectFrom('experiments.evaluations')
    .selectAll()
    .where('run', '=', run)
    .where('configuration', '=', result.configuration)
    .executeTakeFirstOrThrow();
  const { silver_ratings } = await db
    .selectFrom('silver.snapshots')
    .select('silver_ratings')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const { family, rank, iterations, regularization, seed } = result.parameters;
  await db
    .insertInto('models.metadata')
    .values({
      run,
      model_version: result.modelVersion,
      model_name: `${family}_rank${rank}`,
      family,
      rank,
      max_iter: iterations,
      reg_param: regularization,
      seed,
      configuration: result.configuration,
      training_size: silver_ratings,
      rmse: twin.rmse,
      mae: twin.mae,
      precision_at_10: twin.precision_at_10,
      recall_at_10: twin.recall_at_10,
      ndcg_at_10: twin.ndcg_at_10,
      map_at_10: twin.map_at_10,
      coverage: twin.coverage,
      status: result.decision === 'blocked' ? 'rejected' : 'candidate',
      trained_at: null,
      snapshot: run,
      code_version: codeVersion,
    })
    .execute();
}

async function recordAlarm(db: Db, run: number, { alarm }: Decision): Promise<void> {
  if (alarm !== null) await raiseAlert(db, { run, kind: 'rmse_over_threshold', message: alarm });
}

/** A decision that publishes is recorded by the publish itself, in the transaction that moves the champion. */
async function recordDecision(db: Db, run: number, result: SelectionResult): Promise<void> {
  await db
    .insertInto('models.promotions')
    .values({
      run,
      decision: result.decision,
      from_configuration: result.from,
      to_configuration: result.configuration,
      reason: result.reason,
      numbers: JSON.stringify(result.numbers),
      actor: 'nightly',
    })
    .execute();
}

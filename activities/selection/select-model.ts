import { type Metric, METRICS, isBetter, isErrorMetric } from '../../config/metrics.ts';
import type { ModelConfiguration } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { configurationKey } from '../../recommender/index.ts';
import { raiseAlert } from '../monitoring/alerts.ts';
import { terminalFailure } from '../support/failures.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { runStage } from '../support/stage.ts';
import { championAtStart, championChanged, servingChampion } from './champion.ts';
import { churnOfTwins } from './churn.ts';
import { type Decision, type Evidence, type Measured, decide } from './decide.ts';
import { type PairedComparison, comparePaired, insertComparisons } from './paired-comparison.ts';
import { recordDecision } from './record-decision.ts';
import { SELECTION_STAGE, type SelectionResult } from './result.ts';

/**
 * Decides which configuration serves after tonight, and registers tonight's version of it.
 * @throws ChampionChanged where another one serves than at the run's start; ModelUnusable where a twin has no metric
 */
export function selectModel(
  { connection, threads }: Pick<ActivityDependencies, 'connection' | 'threads'>,
  { run }: RunReference,
  signal: AbortSignal,
): Promise<SelectionResult> {
  return runStage(connection, { run, stage: SELECTION_STAGE, signal }, async (attempt) => {
    const context = await loadRun(connection.db, run);
    const { metric } = context.settings.selection;
    const served = await servingChampion(connection.db);
    const before = await championAtStart(connection.db, run);
    if (served?.configuration !== before?.configuration) {
      throw championChanged(run, 'selection', before?.configuration ?? null, served?.configuration ?? null);
    }
    const twins = await evaluatedTwins(connection.db, run);
    const challengers = context.settings.challengers.map((parameters) =>
      candidate(parameters, twins, metric, run),
    );
    const champion = served === null ? null : candidate(served.parameters, twins, metric, run);
    const { evidence, comparisons, best } = await gatherEvidence(
      connection.db,
      context,
      challengers,
      champion,
      { threads, signal },
    );
    const decision = decide(evidence, context.settings);
    const { configuration, parameters } =
      champion?.configuration === decision.configuration ? champion : best;
    const result: SelectionResult = {
      rows: 1,
      decision: decision.decision,
      serve: decision.decision !== 'blocked' && decision.decision !== 'not_published',
      configuration,
      parameters,
      modelVersion: `${parameters.family}-rank${parameters.rank}-run${run}`,
      from: champion?.configuration ?? null,
      reason: decision.reason,
      numbers: numbersOf(evidence),
      note: decision.ask === undefined ? decision.decision : 'an operator is asked',
      ...(decision.ask === undefined ? {} : { ask: decision.ask }),
    };
    return attempt.finish(async ({ db }) => {
      await insertComparisons(db, run, comparisons);
      await registerVersion(db, context, result);
      await recordAlarm(db, run, decision);
      // A decision that publishes is recorded by the publish itself, one that is asked for by whoever takes it.
      if (!result.serve && result.ask === undefined) await recordDecision(db, run, result);
      return result;
    });
  });
}

interface Candidate extends Measured {
  parameters: ModelConfiguration;
}

type Twins = Map<string, Record<(typeof METRICS)[Metric]['column'] | 'coverage', number | null>>;

async function evaluatedTwins(db: Db, run: number): Promise<Twins> {
  const rows = await db.selectFrom('experiments.evaluations').selectAll().where('run', '=', run).execute();
  return new Map(rows.map((row) => [row.configuration, row]));
}

function candidate(parameters: ModelConfiguration, twins: Twins, metric: Metric, run: number): Candidate {
  const configuration = configurationKey(parameters);
  const twin = twins.get(configuration);
  const value = twin?.[METRICS[metric].column];
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw terminalFailure(
      'ModelUnusable',
      `run ${run}, selection: ${configuration} has no finite holdout ${metric.toUpperCase()}; expected its evaluation twin to be measured first, by a family that has it`,
    );
  }
  return { configuration, parameters, value, rmse: twin?.rmse ?? null, coverage: twin?.coverage ?? 0 };
}

/** The best challenger against the champion and the baseline; every challenger is compared, so that chance is counted. */
async function gatherEvidence(
  db: Db,
  { run, settings: { selection }, mayPublish }: Run,
  challengers: Candidate[],
  champion: Candidate | null,
  { threads, signal }: { threads: number; signal: AbortSignal },
): Promise<{ evidence: Evidence; comparisons: PairedComparison[]; best: Candidate }> {
  const { metric } = selection;
  const challenger = challengers.reduce((best, other) =>
    isBetter(metric, other.value, best.value) ? other : best,
  );
  const compare = (a: string, others: string[]): Promise<PairedComparison[]> =>
    comparePaired(db, run, metric, a, others, { ...selection, threads }, signal);
  const against =
    champion === null
      ? []
      : await compare(
          champion.configuration,
          challengers
            .map(({ configuration }) => configuration)
            .filter((configuration) => configuration !== champion.configuration),
        );
  const baselines = isErrorMetric(metric)
    ? []
    : await compare(configurationKey({ family: 'popular' }), [challenger.configuration]);
  return {
    comparisons: [...against, ...baselines],
    best: challenger,
    evidence: {
      challenger,
      champion,
      comparison: against.find(({ b }) => b === challenger.configuration) ?? null,
      baseline: baselines.at(0) ?? null,
      churn:
        champion === null || champion.configuration === challenger.configuration
          ? null
          : await churnOfTwins(db, run, champion.configuration, challenger.configuration),
      mayPublish,
    },
  };
}

function numbersOf({
  challenger,
  champion,
  comparison,
  baseline,
  churn,
}: Evidence): SelectionResult['numbers'] {
  return {
    challenger: challenger.value,
    challenger_rmse: challenger.rmse,
    challenger_coverage: challenger.coverage,
    champion: champion?.value ?? null,
    champion_rmse: champion?.rmse ?? null,
    difference: comparison?.difference ?? null,
    interval_low: comparison?.low ?? null,
    interval_high: comparison?.high ?? null,
    p_adjusted: comparison?.adjustedP ?? null,
    baseline_difference: baseline?.difference ?? null,
    churn: churn?.churn ?? null,
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
      status: result.decision === 'blocked' && result.ask === undefined ? 'rejected' : 'candidate',
      trained_at: null,
      snapshot: run,
      code_version: codeVersion,
    })
    .execute();
}

async function recordAlarm(db: Db, run: number, { alarm, ask }: Decision): Promise<void> {
  if (alarm === null) return;
  const asked =
    ask === undefined
      ? ''
      : `. The night waits for an operator, ${ask.hours} hours at most: npm run pipeline -- approve --run ${run} --reason "…", or reject; after that what is served stays`;
  await raiseAlert(db, { run, kind: 'rmse_over_threshold', message: `${alarm}${asked}` });
}

import { type Configuration, configurationKey } from '../../recommender/index.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { trainWithCheckpoints } from './checkpoints.ts';
import { storeTwin } from './store-twin.ts';
import { measureTwin } from './twin.ts';

export interface EvaluateTwinInput extends RunReference {
  configuration: Configuration;
}

export interface TwinResult extends StageResult {
  configuration: string;
  rmse: number | null;
  precisionAt10: number;
  note: string;
}

/**
 * Trains the evaluation twin of a configuration on the train part of the run's snapshot, measures it on the
 * holdout and keeps its metrics, also by user. A configuration that was evaluated in this run is not again.
 */
export function evaluateTwin(
  dependencies: ActivityDependencies,
  { run, configuration }: EvaluateTwinInput,
  heartbeat: Heartbeat,
): Promise<TwinResult> {
  const { signal, report } = heartbeat;
  const { connection, threads, checkpointSeconds } = dependencies;
  const key = configurationKey(configuration);
  return runStage(connection, { run, stage: `evaluate ${key}`, signal }, async (attempt) => {
    const twin = await measureTwin(dependencies, run, heartbeat, (matrix) =>
      trainWithCheckpoints(connection, attempt, matrix, configuration, {
        threads,
        checkpointSeconds,
        report,
        keepsStart: true,
      }),
    );
    return attempt.finish(async (session) => {
      const rows = await storeTwin(session, run, configuration, twin, null);
      return {
        rows,
        configuration: key,
        rmse: twin.evaluation.rmse,
        precisionAt10: twin.evaluation.precision,
        note: `RMSE ${twin.evaluation.rmse?.toFixed(4) ?? 'n/a'}, P@10 ${twin.evaluation.precision.toFixed(4)}`,
      };
    });
  });
}

import { sql } from 'kysely';
import { copyIn } from '../../database/copy.ts';
import { type WireType, encodeRows } from '../../database/copy-binary.ts';
import type { Session } from '../../database/session.ts';
import { type Configuration, type Evaluation, abGroup, configurationKey } from '../../recommender/index.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { trainWithCheckpoints } from './checkpoints.ts';
import { measureTwin, metricColumns } from './twin.ts';

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
    const { evaluation, ...twin } = await measureTwin(dependencies, run, heartbeat, (matrix) =>
      trainWithCheckpoints(connection, attempt, matrix, configuration, {
        threads,
        checkpointSeconds,
        report,
      }),
    );
    return attempt.finish(async (session) => {
      await session.db
        .insertInto('experiments.evaluations')
        .values({
          run,
          configuration: key,
          parameters: JSON.stringify(configuration),
          training_size: twin.trainingSize,
          ...metricColumns(evaluation),
          factors_checksum: twin.checksum,
          training_seconds: twin.trainingSeconds,
        })
        .execute();
      const rows = await writeUserMetrics(session, run, key, evaluation);
      return {
        rows,
        configuration: key,
        rmse: evaluation.rmse,
        precisionAt10: evaluation.precision,
        note: `RMSE ${evaluation.rmse?.toFixed(4) ?? 'n/a'}, P@10 ${evaluation.precision.toFixed(4)}`,
      };
    });
  });
}

const USER_METRIC_TYPES: WireType[] = [
  'int4',
  'int2',
  'int4',
  'float8',
  'float8',
  'int4',
  'float8',
  'float8',
  'float8',
  'float8',
];

/** Through a temporary table, because what is the same in all rows need not be sent with each. */
async function writeUserMetrics(
  { db, client }: Session,
  run: number,
  configuration: string,
  { byUser }: Evaluation,
): Promise<number> {
  await sql`
    create temporary table incoming_user_metrics (
      user_id integer, in_b smallint, scored integer, squared_error float8, absolute_error float8,
      relevant integer, precision_at_10 float8, ndcg_at_10 float8, recall_at_10 float8,
      average_precision_at_10 float8
    ) on commit drop`.execute(db);
  const columns = [
    byUser.userIds,
    Int8Array.from(byUser.userIds, (user) => (abGroup(user) === 'B' ? 1 : 0)),
    byUser.scored,
    byUser.squaredError,
    byUser.absoluteError,
    byUser.relevant,
    byUser.precision,
    byUser.ndcg,
    byUser.recall,
    byUser.averagePrecision,
  ];
  await copyIn(
    client,
    {
      table: 'incoming_user_metrics',
      columns: [
        'user_id',
        'in_b',
        'scored',
        'squared_error',
        'absolute_error',
        'relevant',
        'precision_at_10',
        'ndcg_at_10',
        'recall_at_10',
        'average_precision_at_10',
      ],
      options: 'format binary',
    },
    encodeRows(USER_METRIC_TYPES, byUser.userIds.length, (row, column) => columns[column][row]),
  );
  await sql`
    insert into experiments.user_metrics (run, configuration, user_id, ab_group, scored, squared_error, absolute_error,
      relevant, precision_at_10, ndcg_at_10, recall_at_10, average_precision_at_10)
    select ${run}, ${configuration}, user_id, case in_b when 1 then 'B' else 'A' end, scored, squared_error,
           absolute_error, relevant, precision_at_10, ndcg_at_10, recall_at_10, average_precision_at_10
    from incoming_user_metrics`.execute(db);
  return byUser.userIds.length;
}

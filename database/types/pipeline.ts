/** Run ledger, run log, alerts, quality results, experiments, models and the pointer. */

import type { ColumnType, Generated, GeneratedAlways } from 'kysely';

/** JSON read as an object and written as its text. */
export type Json<Value> = ColumnType<Value, string, string>;
export type NullableJson<Value> = ColumnType<Value | null, string | null, string | null>;

export type RunStatus = 'running' | 'success' | 'failed' | 'blocked' | 'cancelled';

/** `pipeline.identity`: which database this is, for a worker and a command to know that they mean the same one. */
export interface Identity {
  only_row: Generated<boolean>;
  id: Generated<string>;
}

/** `pipeline.runs`: the run ledger. One row is one run; at most one live or successful run per as-of. */
export interface Runs {
  run: GeneratedAlways<number>;
  as_of: Date;
  profile: string;
  /** SHA-256 of the canonical settings: another configuration for a finished as-of is refused. */
  settings_hash: string;
  settings: Json<unknown>;
  /** The night's, or the last one's that has re-opened it. */
  workflow_id: string;
  /** Temporal's run id of the start event, which a reset keeps: tells who owns the row. */
  execution_id: string;
  /** Id of the Temporal namespace that runs the workflow: only there can be asked whether it is open. */
  namespace_id: string;
  status: RunStatus;
  /** False for an as-of older than what is published: computed and logged, never published. */
  may_publish: boolean;
  code_version: string;
  /** When it was entered; moved to its re-opening where that has the source read anew. */
  started_at: Generated<Date>;
  /** When it was entered or re-opened last. */
  live_since: Generated<Date>;
  finished_at: Date | null;
}

/** `pipeline.reopenings`: runs that had ended without success and were made live again, each time a row. */
export interface Reopenings {
  run: number;
  /** From 1. */
  reopening: number;
  /** The first stage that is gone through again. */
  from_stage: string;
  actor: string;
  reopened_at: Generated<Date>;
  /** The workflow that had ended it before, and the code that had computed it. */
  workflow_id: string;
  code_version: string;
  /** The row of the run log that it had until then. */
  outcome: Json<unknown>;
}

/** `pipeline.stages`: one row per (run, stage): the idempotency key, the fencing token, the result. */
export interface Stages {
  run: number;
  stage: string;
  /** `undone` is what a re-opened run is to do again: the row stays for its token. */
  status: 'running' | 'done' | 'undone';
  /** Raised by every attempt, and when it is undone; a write transaction of an attempt whose token is older is refused. */
  token: number;
  result: NullableJson<object>;
  rows: number | null;
  started_at: Date;
  finished_at: Date | null;
}

/** `pipeline.chunks`: finished chunks of a stage; a retry resumes at the first that is missing. */
export interface Chunks {
  run: number;
  stage: string;
  chunk: string;
  rows: number;
}

/** `pipeline.checkpoints`: how far an unfinished training is, in parts; gone when its stage is done. */
export interface Checkpoints {
  run: number;
  stage: string;
  /** Iterations that another training had done before: half-steps are counted from there. */
  done_before: Generated<number>;
  /** In iteration i, 2i - 1 solves the users and 2i the items. */
  half_step: number;
  /** First of the rows whose factors these are: 32-bit floats in the machine's order, as the engine keeps them. */
  first_row: number;
  factors: Buffer;
  /** After the last iteration that was done then. */
  objective: number | null;
}

/** `pipeline.run_log`: exactly one row a run, failed runs too. */
export interface RunLog {
  run: number;
  as_of: Date;
  status: Exclude<RunStatus, 'running'>;
  run_at: Date;
  duration_seconds: number;
  model_version: string | null;
  training_size: number | null;
  rank: number | null;
  rmse: number | null;
  mae: number | null;
  precision_at_10: number | null;
  champion_before: string | null;
  champion_after: string | null;
  published: boolean;
  /** The run of the latest earlier as-of that had metrics: a backfill is compared with its own day before. */
  previous_run: number | null;
  rmse_change: number | null;
  mae_change: number | null;
  precision_at_10_change: number | null;
  failed_stage: string | null;
  /** The decision, or why the run ended as it did, in words. */
  reason: string;
  stages: Json<{ stage: string; seconds: number; rows: number | null }[]>;
}

export const ALERT_KINDS = [
  'rmse_over_threshold',
  'rmse_regression',
  'gate_failed',
  'run_failed',
  'publish_blocked',
  'schedule_missed',
  'schedule_skipped',
  'test',
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** `pipeline.alerts`: every alert, once per (run, kind), and where there is no run once per (about, kind). */
export interface Alerts {
  alert_id: GeneratedAlways<number>;
  /** Null for a night that has no run: refused, failed before it had one, or missed. */
  run: number | null;
  kind: AlertKind;
  message: string;
  raised_at: Generated<Date>;
  /** What an alert without a run is about: the night's as-of, or the schedule and its nominal time. */
  about: string | null;
  /** Execution id of the workflow that delivers it; null while none has taken it. */
  taken_by: string | null;
}

export type DeliveryState = 'pending' | 'delivered' | 'undelivered';

/** `pipeline.alert_deliveries`: what became of an alert on each channel that was configured when it was taken. */
export interface AlertDeliveries {
  alert_id: number;
  channel: string;
  state: Generated<DeliveryState>;
  /** Times that it was begun to be sent. */
  attempts: Generated<number>;
  /** What the receiver answered last, without addresses and secrets. */
  last_error: string | null;
  attempted_at: Date | null;
  delivered_at: Date | null;
}

/** `pipeline.schedule_watch`: until which nominal time the watchdog has looked for missed nights. */
export interface ScheduleWatch {
  schedule_id: string;
  looked_until: Date;
}

export type GateScope = 'source' | 'bronze' | 'silver' | 'features' | 'model' | 'publish';
export type Severity = 'warn' | 'error';
/** `failed` is an error check that did not hold; a check that could not run or saw nothing has failed. */
export type CheckStatus = 'passed' | 'warned' | 'failed' | 'skipped';

/** `quality.check_results`: what each check saw. */
export interface CheckResults {
  run: number;
  check_name: string;
  scope: GateScope;
  /** The worst that it may come to. */
  severity: Severity;
  status: CheckStatus;
  observed: number | null;
  expected: string;
  /** What it was held against; null where it was not asked. */
  warn_threshold: number | null;
  error_threshold: number | null;
  message: string;
  /** At most a handful of offending rows. */
  sample: Json<unknown[]>;
  checked_at: Generated<Date>;
}

/** `quality.source_statistics`: a run's snapshot in numbers, which later nights are held against. */
export interface SourceStatistics {
  run: number;
  /** `ratings`, `mean_rating`, or `share_` and a value of stars. */
  statistic: string;
  value: number;
}

/** Metrics of one evaluation twin on the holdout. Null where the family has no such metric. */
export interface MetricColumns {
  rmse: number | null;
  mae: number | null;
  rmse_with_fallback: number | null;
  mae_with_fallback: number | null;
  precision_at_10: number;
  recall_at_10: number;
  ndcg_at_10: number;
  map_at_10: number;
  /** Mean number of train ratings of the listed movies: the lower, the more novel are the lists. */
  popularity_at_10: number | null;
  coverage: number;
  users: number;
  predictions: number;
  dropped: number;
}

/** `experiments.evaluations`: one evaluation twin of one configuration in one run. */
export interface Evaluations extends MetricColumns {
  run: number;
  configuration: string;
  parameters: Json<unknown>;
  training_size: number;
  /** CRC-32 over the twin's factors: the same data and seed give the same checksum, whatever the threads. */
  factors_checksum: string;
  training_seconds: number;
  evaluated_at: Generated<Date>;
  /** The ad-hoc A/B test that measured it; null where the run itself did. */
  test_id: string | null;
}

/** `experiments.refit_starts`: where the refit of a configuration goes on from its twin; kept to the next night. */
export interface RefitStarts {
  run: number;
  configuration: string;
  /** Of the twin, that are done. */
  iteration: number;
  /** Floats a row of `item_factors`. */
  width: number;
  /** 32-bit integers in the machine's order, ascending. */
  item_ids: Buffer;
  /** 32-bit floats in the machine's order, as the engine keeps them. */
  item_factors: Buffer;
}

/** `experiments.user_metrics`: per-user values of a twin, from which every comparison can be recomputed. */
export interface UserMetrics {
  run: number;
  configuration: string;
  user_id: number;
  ab_group: 'A' | 'B';
  /** Scored pairs and their summed squared and absolute errors. */
  scored: number;
  squared_error: number;
  absolute_error: number;
  /** Relevant holdout movies; null metrics where there are none. */
  relevant: number;
  precision_at_10: number | null;
  ndcg_at_10: number | null;
  recall_at_10: number | null;
  average_precision_at_10: number | null;
  /** The twin's list, best first, of some users, the same ones for every twin of a run; null for the others. */
  listed: number[] | null;
}

/** One an arm; nights have two. */
export type AbGroup = 'A' | 'B' | 'C' | 'D';

/** `experiments.ab_test_results`: appended, never overwritten. */
export interface AbTestResults {
  /** `run-N` of a night; the workflow id of an ad-hoc test. */
  test_id: string;
  run: number;
  /** The group of users that the arm's metrics are those of. */
  ab_group: AbGroup;
  model_name: string;
  rank: number;
  rmse: number | null;
  mae: number | null;
  precision_at_10: number | null;
  users: number;
  predictions: number;
  /** The better point estimate of the paired comparison. */
  is_winner: boolean;
  /** Whether the interval of the paired difference excludes zero. */
  decided: boolean;
  /** Chance of group sizes this uneven where users fall into either half; below 0.001 the split is broken. */
  sample_ratio_p: number;
  test_date: Date;
}

/** `experiments.comparisons`: paired per-user comparisons on the whole holdout. */
export interface Comparisons {
  run: number;
  metric: string;
  configuration_a: string;
  configuration_b: string;
  /** Metric of A minus metric of B. */
  difference: number;
  interval_low: number;
  interval_high: number;
  users: number;
  resamples: number;
  seed: number;
  /** Whether the interval excludes zero. */
  decided: boolean;
  winner: string;
  /** Of the bootstrap, two-sided; and corrected for the number of comparisons that were made together (Holm). */
  p_value: number | null;
  p_adjusted: number | null;
}

/** `experiments.ab_tests`: an A/B test that an engineer started, on the snapshot of one run. */
export interface AbTests {
  /** The workflow id. */
  test_id: string;
  /** Temporal's run id of the start event, as in `pipeline.runs`. */
  execution_id: string;
  /** The run whose snapshot it is. */
  run: number;
  /** The metric that decides. */
  metric: string;
  /** The configurations that are compared, in the order in which they were named. */
  arms: Json<unknown>;
  /** Seeds that each arm is trained with; none where each has its own. */
  seeds: Json<unknown>;
  /** Of the hash that gives a user their group. */
  salt: string | null;
  /** Of the bootstrap, as the run's settings had them. */
  resamples: number;
  bootstrap_seed: number;
  code_version: string;
  created_at: Generated<Date>;
  /** The following are set when the arms have been compared. */
  finished_at: Date | null;
  sample_ratio_p: number | null;
  /** The arm with the best value. */
  winner: string | null;
  decided: boolean | null;
  /** The outcome in words. */
  decision: string | null;
}

/** `experiments.ab_test_arms`: appended, never overwritten. */
export interface AbTestArms {
  test_id: string;
  /** From 1, as they were named; the first is what the others are compared with. */
  arm: number;
  ab_group: AbGroup;
  name: string;
  /** Its twins in `experiments.user_metrics`, one a seed. */
  configurations: string[];
  /** The metric on the whole holdout, of the users' values averaged over the seeds. */
  value: number;
  /** The same in the arm's own group of users. */
  group_value: number | null;
  /** Standard deviation of the metric over seeds; null with fewer than two. */
  seed_deviation: number | null;
}

/** `experiments.ab_test_comparisons`: the first arm against each other, paired by user. */
export interface AbTestComparisons {
  test_id: string;
  arm: number;
  /** Metric of the first arm minus metric of this one. */
  difference: number;
  interval_low: number;
  interval_high: number;
  p_value: number;
  /** Corrected for all comparisons of the test (Holm). */
  p_adjusted: number;
  users: number;
  /** Whether the interval excludes zero, and the corrected p-value is below 0.05. */
  decided: boolean;
  /** Standard deviation over seeds of the difference; null with fewer than two. */
  seed_deviation: number | null;
}

/** `experiments.ab_test_users`: who is in which group; kept as long as the users' metrics. */
export interface AbTestUsers {
  test_id: string;
  user_id: number;
  ab_group: AbGroup;
}

/** `experiments.grid_searches`: configurations tried on the snapshot of one run. The workflow id names the search. */
export interface GridSearches {
  search: GeneratedAlways<number>;
  workflow_id: string;
  /** Temporal's run id of the start event, as in `pipeline.runs`. */
  execution_id: string;
  /** The run whose snapshot it is. */
  run: number;
  /** The metric that chooses. */
  metric: string;
  /** The configurations that are tried, in the order in which they were named. */
  points: Json<unknown>;
  code_version: string;
  created_at: Generated<Date>;
  /** Set when every point has its row. */
  finished_at: Date | null;
  /** Null where no point has the metric. */
  best_configuration: string | null;
}

type Nullable<Columns> = { [Column in keyof Columns]: Columns[Column] | null };

/** `experiments.grid_search_results`: one point of a search; appended, never overwritten. */
export interface GridSearchResults extends Nullable<MetricColumns> {
  search: number;
  configuration: string;
  parameters: Json<unknown>;
  family: string;
  rank: number;
  iterations: number;
  reg_param: number;
  training_size: number | null;
  factors_checksum: string | null;
  training_seconds: number | null;
  status: 'ok' | 'failed';
  /** Why a point failed; it has no metrics then. */
  reason: string | null;
  /** Marked when the search is finished: one point of it at most. */
  is_best: Generated<boolean>;
  evaluated_at: Generated<Date>;
}

export type ModelStatus = 'candidate' | 'champion' | 'retired' | 'rejected';

/** `models.metadata`: one row per model version, with the metrics of its evaluation twin. */
export interface ModelMetadata {
  run: number;
  model_version: string;
  model_name: string;
  family: string;
  rank: number;
  max_iter: number;
  reg_param: number;
  seed: number;
  configuration: string;
  training_size: number;
  rmse: number | null;
  mae: number | null;
  precision_at_10: number;
  recall_at_10: number;
  ndcg_at_10: number;
  map_at_10: number;
  coverage: number;
  status: ModelStatus;
  trained_at: Date | null;
  /** Of the ratings it was trained on, where its biases are relative to that. */
  global_mean: number | null;
  /** The run whose silver it was trained on. */
  snapshot: number;
  code_version: string;
}

/** `models.champions`: the configuration that serves; at most one row without `retired_at`. */
export interface Champions {
  champion_id: GeneratedAlways<number>;
  configuration: string;
  parameters: Json<unknown>;
  run: number;
  since: Generated<Date>;
  retired_at: Date | null;
}

/** `models.promotions`: append-only; every decision about the champion, with its reason. One a night and re-opening, and rollbacks. */
export interface Promotions {
  promotion_id: GeneratedAlways<number>;
  /** The night that decided; of a rollback the one whose version it went back to. */
  run: number;
  decision: 'first' | 'promotion' | 'refresh' | 'blocked' | 'not_published' | 'rollback';
  from_configuration: string | null;
  to_configuration: string;
  reason: string;
  numbers: Json<unknown>;
  actor: string;
  decided_at: Generated<Date>;
  /** Of which re-opening of the run it is; 0 of the night itself. */
  reopening: Generated<number>;
  /** The workflow that asked for a rollback: an attempt that is made again finds what it did. */
  request: string | null;
}

/** `serving.versions`: model versions that are or were published, and are kept. */
export interface PublishedVersions {
  run: number;
  model_version: string;
  /** What a list of this version is called when a reader asks where it came from. */
  provenance: string;
  generated_at: Date;
  published_at: Date | null;
  /** Set when its tables are given up; a retired version can no longer be served. */
  retired_at: Date | null;
  /** When the pointer moved to it last, by its night or by a rollback: those served last are kept. */
  served_at: Date | null;
}

/** `serving.version_rows`: rows of a version's tables, less those of whoever was deleted in the source since. */
export interface VersionRows {
  run: number;
  table_name: string;
  rows: number;
}

/** `serving.blocked_items`: what no list shows, and for how long; the row without `lifted_at` blocks. */
export interface BlockedItems {
  movie_id: number;
  reason: string;
  actor: string;
  since: Generated<Date>;
  lifted_at: Date | null;
  lifted_by: string | null;
  lifted_reason: string | null;
}

/** `serving.pointer`: the one row that decides what every reader sees. */
export interface Pointer {
  only_row: boolean;
  /** Lists, neighbours and factors. */
  model_run: number;
  /** Features, trending and movie statistics. */
  data_run: number;
  /** As-of of the published data: an older run never publishes over it. */
  as_of: Date;
  changed_at: Date;
}

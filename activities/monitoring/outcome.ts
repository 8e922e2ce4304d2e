import type { AlertKind, RunStatus } from '../../database/types/index.ts';

/** What a run came to, as the run log has it: small enough for a history, and what `--json` prints. */
export interface RunOutcome {
  run: number;
  /** ISO instant. */
  as_of: string;
  status: RunStatus;
  published: boolean;
  model_version: string | null;
  /** The configuration that serves after the run. */
  champion: string | null;
  rmse: number | null;
  mae: number | null;
  precision_at_10: number | null;
  training_size: number | null;
  duration_seconds: number | null;
  failed_stage: string | null;
  /** The decision, or why the run ended as it did, in words. */
  reason: string;
  alerts: AlertKind[];
}

/** How a night that did not come to its end is written down. */
export interface RunFailure {
  status: 'failed' | 'cancelled';
  /** Type of the failure; see `activities/support/failures.ts`. */
  type: string;
  failedStage: string | null;
  reason: string;
}

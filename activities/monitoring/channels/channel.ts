import type { AlertKind } from '../../../database/types/index.ts';

/** An alert as a receiver gets it. */
export interface AlertMessage {
  alert_id: number;
  kind: AlertKind;
  run: number | null;
  /** As-of of the run, ISO instant. */
  as_of: string | null;
  message: string;
  /** ISO instant. */
  raised_at: string;
  /** The same at every attempt: a receiver that has seen it may drop it. */
  idempotencyKey: string;
}

/** A way by which alerts reach people. */
export interface AlertChannel {
  name: 'webhook' | 'email';
  /**
   * Sends one alert, and returns when the receiver has taken it.
   * @throws DeliveryError; anything else may carry an address or a secret and is not shown
   */
  send(alert: AlertMessage): Promise<void>;
}

/** Why a receiver did not take an alert: for tables, logs and histories, so without addresses, secrets and causes. */
export class DeliveryError extends Error {
  override name = 'DeliveryError';
  /** Seconds that the receiver asks to be left alone. */
  readonly retryAfter: number | null;

  constructor(message: string, retryAfter: number | null = null) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** The code of a network error, which names no host: `ECONNREFUSED`. */
export function codeOf(error: unknown): string {
  const found = (error as { code?: unknown } | null)?.code;
  if (typeof found === 'string' && /^[A-Z0-9_/]{2,40}$/.test(found)) return found;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? 'unknown error' : codeOf(cause);
}

/** `run failed, run 7 (as-of …): why`: one line for a chat and for the subject of a mail. */
export function headline({ kind, run, as_of }: AlertMessage): string {
  const of = run === null ? '' : `, run ${run}${as_of === null ? '' : ` (as-of ${as_of})`}`;
  return `Nightjar: ${kind.replaceAll('_', ' ')}${of}`;
}

import type { Connection } from '../../database/connect.ts';
import { aboutNight, raiseAlert } from './alerts.ts';

/** A night that ended before it had a row in the ledger. */
export interface Refusal {
  asOf: string;
  /** Type of the failure; see `activities/support/failures.ts`. */
  type: string;
  reason: string;
  /** Whether a schedule started it; else a person did, who is told by the command. */
  scheduled: boolean;
}

/** Bad input: a person who typed it reads so, and nothing is to be changed by it. */
const BAD_INPUT = ['InvalidRequest', 'RunConflict'];

/** Raises an alert for a night that has no run to hang it on, once an as-of. */
export async function reportRefusal(
  { db }: Connection,
  { asOf, type, reason, scheduled }: Refusal,
): Promise<{ alerts: number }> {
  if (!scheduled && BAD_INPUT.includes(type)) return { alerts: 0 };
  await raiseAlert(db, {
    kind: 'run_failed',
    about: aboutNight(asOf),
    message: `the night of ${asOf} ended before it had a run: ${reason}`,
  });
  return { alerts: 1 };
}

import type { Db } from '../../database/connect.ts';
import type { AlertKind } from '../../database/types/index.ts';

/** What people are told; about a run where there is one. */
export type Alert = { kind: AlertKind; message: string } & (
  | { run: number }
  | {
      /** What it is about: it comes once about that. */
      about: string;
    }
);

/** Writes an alert, once per (run, kind): raising it again changes nothing. Delivering it is another step. */
export async function raiseAlert(db: Db, alert: Alert): Promise<void> {
  await db
    .insertInto('pipeline.alerts')
    .values(alert)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** What alerts about a night without a run are about. */
export function aboutNight(asOf: string): string {
  return `as-of ${new Date(asOf).toISOString()}`;
}

/** Alerts that no workflow has taken for delivery yet. */
export async function waitingAlerts(db: Db): Promise<number> {
  const { waiting } = await db
    .selectFrom('pipeline.alerts')
    .select((count) => count.fn.countAll<number>().as('waiting'))
    .where('taken_by', 'is', null)
    .executeTakeFirstOrThrow();
  return waiting;
}

/** Deletes alerts of before, with what became of their deliveries. */
export async function forgetAlerts(db: Db, before: Date): Promise<void> {
  await db.deleteFrom('pipeline.alerts').where('raised_at', '<', before).execute();
}

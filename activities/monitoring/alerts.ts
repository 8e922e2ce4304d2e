import type { Db } from '../../database/connect.ts';
import type { AlertKind } from '../../database/types/index.ts';

/** Writes an alert, once per (run, kind): raising it again changes nothing. */
export async function raiseAlert(
  db: Db,
  alert: { run: number; kind: AlertKind; message: string },
): Promise<void> {
  await db
    .insertInto('pipeline.alerts')
    .values(alert)
    .onConflict((conflict) => conflict.columns(['run', 'kind']).doNothing())
    .execute();
}

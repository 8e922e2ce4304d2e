import { sql } from 'kysely';
import type { WatchdogRequest } from '../../config/schedules.ts';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import type { StageResult } from '../support/stage.ts';
import { type Alert, aboutNight, raiseAlert } from './alerts.ts';
import type { LookUpSchedule, OwnTemporal, WatchedSchedule } from './own-temporal.ts';

export interface MissedNightsInput extends Omit<WatchdogRequest, 'schedules'> {
  schedule: string;
}

/**
 * Raises an alert for every nominal time of a schedule at which no night came into being: none has a row in the ledger,
 * none waits for its turn, and none was refused with an alert of its own. What went by while the schedule was paused is
 * not missed; nor is what went by before its times were changed.
 */
export async function findMissedNights(
  connection: Connection,
  temporal: { isOpen: OwnTemporal['isOpen']; lookUpSchedule: LookUpSchedule },
  { schedule, graceMinutes, days }: MissedNightsInput,
  now = new Date(),
): Promise<StageResult & { note: string }> {
  const found = await temporal.lookUpSchedule(schedule);
  if (found === null) return { rows: 0, note: 'no such schedule' };
  const before = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000);
  const looked = await lookedUntil(connection.db, schedule);
  const from = new Date(Math.max(before(days * 1440).getTime(), found.since.getTime(), looked.getTime()));
  const until = found.paused ? now : before(graceMinutes);
  if (until <= from) return { rows: 0, note: '' };

  const times = found.paused ? [] : await found.times(from, until);
  // The server's range holds both of its ends; the last pass has judged the first.
  const open = await openTimes(found, temporal.isOpen);
  const doubtful = times.filter((time) => time > from && !open.has(time.getTime()));
  const missed = await transaction(connection, async ({ db }) => {
    const alerts: Alert[] = [];
    for (const time of doubtful) {
      const alert = await missedNight(db, schedule, time, found.jitterMilliseconds);
      if (alert !== null) alerts.push(alert);
    }
    for (const alert of alerts) await raiseAlert(db, alert);
    await db
      .insertInto('pipeline.schedule_watch')
      .values({ schedule_id: schedule, looked_until: until })
      .onConflict((conflict) =>
        conflict
          .column('schedule_id')
          .doUpdateSet({ looked_until: sql`greatest(schedule_watch.looked_until, excluded.looked_until)` }),
      )
      .execute();
    return alerts.length;
  });
  return { rows: missed, note: found.paused ? 'paused' : `looked until ${until.toISOString()}` };
}

async function lookedUntil(db: Db, schedule: string): Promise<Date> {
  const row = await db
    .selectFrom('pipeline.schedule_watch')
    .select('looked_until')
    .where('schedule_id', '=', schedule)
    .executeTakeFirst();
  return row?.looked_until ?? new Date(0);
}

/** Nominal times whose workflow is open: it waits for a worker, or for another night to end. */
async function openTimes({ starts }: WatchedSchedule, isOpen: OwnTemporal['isOpen']): Promise<Set<number>> {
  const open = new Set<number>();
  for (const { nominal, workflowId } of starts) {
    if (await isOpen({ workflowId })) open.add(nominal.getTime());
  }
  return open;
}

/** What there is to tell of a time at which a night was to begin; null where one did, or has told of itself. */
async function missedNight(db: Db, schedule: string, time: Date, jitter: number): Promise<Alert | null> {
  const nominal = time.toISOString();
  const earliest = new Date(time.getTime() - jitter);
  const begun = await db
    .selectFrom('pipeline.runs')
    .select('run')
    .where('as_of', '>=', earliest)
    .where('as_of', '<=', time)
    .executeTakeFirst();
  const refused = await db
    .selectFrom('pipeline.alerts')
    .select('alert_id')
    .where('about', '=', aboutNight(nominal))
    .executeTakeFirst();
  if (begun !== undefined || refused !== undefined) return null;
  const about = `${schedule} ${nominal}`;
  const underWay = await db
    .selectFrom('pipeline.runs')
    .select('run')
    .where('workflow_id', 'like', `${schedule}-%`)
    .where('started_at', '<=', time)
    .where((where) => where.or([where('finished_at', '>=', time), where('finished_at', 'is', null)]))
    .executeTakeFirst();
  return underWay === undefined
    ? {
        kind: 'schedule_missed',
        about,
        message: `the night of ${nominal} that schedule ${schedule} was to start has no run`,
      }
    : {
        kind: 'schedule_skipped',
        about,
        message: `the night of ${nominal} was skipped by schedule ${schedule}, because run ${underWay.run} was under way`,
      };
}

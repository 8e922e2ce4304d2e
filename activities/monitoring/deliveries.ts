import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { databaseId } from '../../database/readers.ts';
import { transaction } from '../../database/session.ts';
import type { DeliveryState } from '../../database/types/index.ts';
import { assertMeant } from '../support/database.ts';
import { type AlertChannel, type AlertMessage, DeliveryError } from './channels/channel.ts';
import type { OwnTemporal } from './own-temporal.ts';

/** One alert on its way by one channel. */
export interface Delivery {
  alert: number;
  channel: AlertChannel['name'];
}

export interface TakenAlerts {
  deliveries: Delivery[];
  rows: number;
}

/** What became of a delivery, and why it has not arrived. */
export interface DeliveryOutcome extends Delivery {
  delivery: DeliveryState;
  error: string | null;
}

/** Alerts that one workflow delivers: its history stays small. The rest waits for the next one. */
const MOST_ALERTS = 50;

/** Alerts that were not delivered by then are history. As long as `delivery` in `workflows/timeouts.ts` goes on. */
const GIVE_UP_MILLISECONDS = 24 * 3_600_000;

/**
 * Makes the caller the one who delivers every alert that nobody has taken, by the channels that are configured now.
 * Asked again, it gives the same ones.
 */
export async function takeAlerts(
  connection: Connection,
  channels: AlertChannel[],
  { workflowId }: { workflowId: string },
): Promise<TakenAlerts> {
  return transaction(connection, async ({ db }) => {
    await db
      .updateTable('pipeline.alerts')
      .set({ taken_by: workflowId })
      .where('alert_id', 'in', (alerts) =>
        alerts
          .selectFrom('pipeline.alerts')
          .select('alert_id')
          .where('taken_by', 'is', null)
          .orderBy('alert_id')
          .limit(MOST_ALERTS)
          .forUpdate()
          .skipLocked(),
      )
      .execute();
    return planDeliveries(db, channels, workflowId);
  });
}

/** Writes an alert that says that alerts arrive, taken by the caller from its beginning; none where no channel is configured. */
export async function raiseTestAlert(
  connection: Connection,
  channels: AlertChannel[],
  { workflowId, database }: { workflowId: string; database?: string },
): Promise<TakenAlerts> {
  await assertMeant(connection, database);
  if (channels.length === 0) return { deliveries: [], rows: 0 };
  return transaction(connection, async ({ db }) => {
    await db
      .insertInto('pipeline.alerts')
      .values({
        kind: 'test',
        about: workflowId,
        message: 'a test: alerts of the nightly recommender arrive here',
        taken_by: workflowId,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return planDeliveries(db, channels, workflowId);
  });
}

async function planDeliveries(db: Db, channels: AlertChannel[], workflowId: string): Promise<TakenAlerts> {
  const taken = await db
    .selectFrom('pipeline.alerts')
    .select('alert_id')
    .where('taken_by', '=', workflowId)
    .orderBy('alert_id')
    .execute();
  const planned = taken.flatMap(({ alert_id }) => channels.map(({ name }) => ({ alert_id, channel: name })));
  if (planned.length > 0) {
    await db
      .insertInto('pipeline.alert_deliveries')
      .values(planned)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const pending = await db
    .selectFrom('pipeline.alert_deliveries as d')
    .innerJoin('pipeline.alerts as a', 'a.alert_id', 'd.alert_id')
    .where('a.taken_by', '=', workflowId)
    .where('d.state', '=', 'pending')
    .orderBy('d.alert_id')
    .orderBy('d.channel')
    .select(['d.alert_id as alert', 'd.channel'])
    .execute();
  return { deliveries: pending as Delivery[], rows: taken.length };
}

/**
 * Sends an alert by a channel, unless it was. The attempt is written down before, the success after: only a worker that
 * dies between the two sends twice, with the same idempotency key.
 * @throws DeliveryFailed with what the receiver answered; to be tried again
 */
export async function deliverAlert(
  connection: Connection,
  channels: AlertChannel[],
  delivery: Delivery,
): Promise<DeliveryOutcome> {
  const { alert, channel: name } = delivery;
  const { db } = connection;
  const begun = await updateDelivery(db, delivery)
    .set({ attempts: sql`attempts + 1`, attempted_at: sql`clock_timestamp()` })
    .where('state', '=', 'pending')
    .executeTakeFirst();
  if (begun.numUpdatedRows === 0n) return outcomeOf(db, delivery);
  try {
    const channel = channels.find((one) => one.name === name);
    if (channel === undefined) throw new DeliveryError('this worker has no such channel configured');
    await channel.send(await readMessage(db, delivery));
  } catch (error) {
    // Of anything else not even the message: an unforeseen one may hold the receiver's address.
    const known = error instanceof DeliveryError ? error : new DeliveryError('unexpected error');
    await updateDelivery(db, delivery).set({ last_error: known.message }).execute();
    throw ApplicationFailure.create({
      type: 'DeliveryFailed',
      message: `alert ${alert}, ${name}: ${known.message}`,
      nextRetryDelay: known.retryAfter === null ? undefined : `${known.retryAfter}s`,
    });
  }
  await updateDelivery(db, delivery)
    .set({ state: 'delivered', last_error: null, delivered_at: sql`clock_timestamp()` })
    .execute();
  return outcomeOf(db, delivery);
}

/** Ends the tries of a delivery that has not arrived. */
export async function giveUpDelivery(
  { db }: Pick<Connection, 'db'>,
  delivery: Delivery,
): Promise<DeliveryOutcome> {
  await updateDelivery(db, delivery)
    .set({ state: 'undelivered', last_error: sql`coalesce(last_error, 'given up before the first attempt')` })
    .where('state', '=', 'pending')
    .execute();
  return outcomeOf(db, delivery);
}

/**
 * Looks for deliveries whose workflow is closed, as when it was terminated: those of the last day go back to be taken
 * again, older ones are given up.
 */
export async function reviveDeliveries(
  { db }: Pick<Connection, 'db'>,
  { isOpen }: Pick<OwnTemporal, 'isOpen'>,
): Promise<{ rows: number }> {
  const pending = await db
    .selectFrom('pipeline.alert_deliveries as d')
    .innerJoin('pipeline.alerts as a', 'a.alert_id', 'd.alert_id')
    .where('d.state', '=', 'pending')
    .where('a.taken_by', 'is not', null)
    .select(['d.alert_id', 'd.channel', 'a.raised_at', 'a.taken_by'])
    .execute();
  let rows = 0;
  for (const { alert_id, channel, raised_at, taken_by } of pending) {
    if (await isOpen({ workflowId: taken_by ?? '' })) continue;
    rows++;
    if (Date.now() - raised_at.getTime() > GIVE_UP_MILLISECONDS) {
      await giveUpDelivery({ db }, { alert: alert_id, channel: channel as Delivery['channel'] });
    } else {
      await db
        .updateTable('pipeline.alerts')
        .set({ taken_by: null })
        .where('alert_id', '=', alert_id)
        .where('taken_by', '=', taken_by)
        .execute();
    }
  }
  return { rows };
}

function updateDelivery(db: Db, { alert, channel }: Delivery) {
  return db
    .updateTable('pipeline.alert_deliveries')
    .where('alert_id', '=', alert)
    .where('channel', '=', channel);
}

async function outcomeOf(db: Db, { alert, channel }: Delivery): Promise<DeliveryOutcome> {
  const row = await db
    .selectFrom('pipeline.alert_deliveries')
    .select(['state', 'last_error'])
    .where('alert_id', '=', alert)
    .where('channel', '=', channel)
    .executeTakeFirstOrThrow();
  return { alert, channel, delivery: row.state, error: row.last_error };
}

async function readMessage(db: Db, { alert, channel }: Delivery): Promise<AlertMessage> {
  const { as_of, raised_at, ...row } = await db
    .selectFrom('pipeline.alerts as a')
    .leftJoin('pipeline.runs as r', 'r.run', 'a.run')
    .where('alert_id', '=', alert)
    .select(['a.alert_id', 'a.kind', 'a.run', 'a.message', 'a.raised_at', 'r.as_of'])
    .executeTakeFirstOrThrow();
  return {
    ...row,
    as_of: as_of?.toISOString() ?? null,
    raised_at: raised_at.toISOString(),
    idempotencyKey: `${await databaseId(db)}-${alert}-${channel}`,
  };
}

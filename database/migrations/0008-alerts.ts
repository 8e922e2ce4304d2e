import { type Kysely, sql } from 'kysely';

/**
 * Alerts of nights that have no run, who delivers which, what became of each delivery, and how far the watchdog has
 * looked.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('pipeline.alerts')
    .alterColumn('run', (c) => c.dropNotNull())
    .addColumn('about', 'text')
    .addColumn('taken_by', 'text')
    .execute();
  await db.schema
    .alterTable('pipeline.alerts')
    .addUniqueConstraint('alerts_once_about_and_kind', ['about', 'kind'])
    .execute();
  await db.schema
    .alterTable('pipeline.alerts')
    .addCheckConstraint('alerts_are_about_something', sql`run is not null or about is not null`)
    .execute();
  // Those of before were read where they stand; nobody is to be woken by them.
  await sql`update pipeline.alerts set taken_by = 'before deliveries'`.execute(db);
  await db.schema
    .createIndex('alerts_waiting')
    .on('pipeline.alerts')
    .column('alert_id')
    .where(sql.ref('taken_by'), 'is', null)
    .execute();
  await db.schema
    .createTable('pipeline.alert_deliveries')
    .addColumn('alert_id', 'integer', (c) =>
      c.notNull().references('pipeline.alerts.alert_id').onDelete('cascade'),
    )
    .addColumn('channel', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) =>
      c
        .notNull()
        .defaultTo('pending')
        .check(sql`state in ('pending', 'delivered', 'undelivered')`),
    )
    .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('last_error', 'text')
    .addColumn('attempted_at', 'timestamptz')
    .addColumn('delivered_at', 'timestamptz')
    .addPrimaryKeyConstraint('alert_deliveries_key', ['alert_id', 'channel'])
    .execute();
  await db.schema
    .createIndex('alert_deliveries_pending')
    .on('pipeline.alert_deliveries')
    .column('alert_id')
    .where(sql.ref('state'), '=', 'pending')
    .execute();
  await db.schema
    .createTable('pipeline.schedule_watch')
    .addColumn('schedule_id', 'text', (c) => c.primaryKey())
    .addColumn('looked_until', 'timestamptz', (c) => c.notNull())
    .execute();
}

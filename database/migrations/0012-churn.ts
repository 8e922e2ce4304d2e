import { type Kysely, sql } from 'kysely';

/** The lists of twins, of some users: how much a promotion would change is measured between them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('experiments.user_metrics')
    .addColumn('listed', sql`integer[]`)
    .execute();
}

import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Db } from './connect.ts';
import { migrations } from './migrations/index.ts';

/** Any fixed number serves; it only has to be ours among the advisory locks of one database. */
const MIGRATION_LOCK = 7_220_143;

/**
 * Brings the database to the newest migration and returns the names of those applied now.
 * Several processes may call it at once: they queue on an advisory lock, and the later ones find nothing to do. A
 * database that a newer release has migrated stays as it is: migrations only add, so an older worker may be put back.
 * @throws the error of the first migration that failed, with its name; nothing of that migration stays.
 */
export async function migrateToLatest(db: Db): Promise<string[]> {
  return db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`.execute(connection);
    try {
      await connection.schema.createSchema('pipeline').ifNotExists().execute();
      if (await isAhead(connection)) return [];
      const migrator = new Migrator({
        db: connection,
        provider: { getMigrations: () => Promise.resolve(migrations) },
        migrationTableSchema: 'pipeline',
      });
      const { error, results } = await migrator.migrateToLatest();
      if (error !== undefined) {
        const failed =
          results?.find((result) => result.status === 'Error')?.migrationName ?? 'before the first';
        throw new Error(
          `migration ${failed} failed: ${error instanceof Error ? error.message : 'of an unknown cause'}`,
          {
            cause: error,
          },
        );
      }
      return (results ?? []).map((result) => result.migrationName);
    } finally {
      await sql`select pg_advisory_unlock(${MIGRATION_LOCK})`.execute(connection);
    }
  });
}

/** Whether the database has all of our migrations and others that we do not know. */
async function isAhead(db: Db): Promise<boolean> {
  const { rows: tables } =
    await sql`select where to_regclass('pipeline.kysely_migration') is not null`.execute(db);
  if (tables.length === 0) return false;
  const { rows } = await sql<{ name: string }>`select name from pipeline.kysely_migration`.execute(db);
  const applied = new Set(rows.map(({ name }) => name));
  return (
    applied.size > Object.keys(migrations).length &&
    Object.keys(migrations).every((name) => applied.has(name))
  );
}

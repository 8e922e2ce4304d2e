import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Db } from './connect.ts';
import { migrations } from './migrations/index.ts';

/** Any fixed number serves; it only has to be ours among the advisory locks of one database. */
const MIGRATION_LOCK = 7_220_143;

/**
 * Brings the database to the newest migration and returns the names of those applied now.
 * Several processes may call it at once: they queue on an advisory lock, and the later ones find nothing to do.
 * @throws the error of the first migration that failed, with its name; nothing of that migration stays.
 */
export async function migrateToLatest(db: Db): Promise<string[]> {
  return db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`.execute(connection);
    try {
      await connection.schema.createSchema('pipeline').ifNotExists().execute();
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

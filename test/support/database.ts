import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { type Connection, connect } from '../../database/connect.ts';
import { migrateToLatest } from '../../database/migrate.ts';
import { createSource } from '../../database/source.ts';

export interface TestDatabase extends Connection {
  url: string;
  /** Closes the pool and drops the database. */
  drop(): Promise<void>;
}

/** A migrated database of its own for one test file, on the shared server. */
export async function createTestDatabase(options: { migrate?: boolean } = {}): Promise<TestDatabase> {
  const server = inject('databaseUrl');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  const admin = connect({ url: server, applicationName: 'nightjar-test-admin', max: 1 });
  await admin.pool.query(`create database ${name}`);
  const connection = connect({ url: url.toString(), applicationName: 'nightjar-test', max: 8 });
  if (options.migrate ?? true) {
    await migrateToLatest(connection.db);
    await createSource(connection.db);
  }
  return {
    ...connection,
    url: url.toString(),
    drop: async () => {
      await connection.close();
      await admin.pool.query(`drop database ${name} with (force)`);
      await admin.close();
    },
  };
}

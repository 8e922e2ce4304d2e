/** The servers of a measured night: apart from everybody else's, with data that stays from call to call. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Connection, type Db, connect } from '../../database/connect.ts';
import { type Stack, startStack } from '../../stack/index.ts';

export interface NightServers {
  /** Where sources and logs lie. */
  directory: string;
  /** Environment of the worker and of whatever else works for the night: these servers, and nobody to be told. */
  env: NodeJS.ProcessEnv;
  /** Databases that hold a source and nothing else, to be copied for each night. */
  admin: Connection;
  /** URL of a database of this server. */
  urlOf: (database: string) => string;
  /** Rejects when a server ends by itself. */
  lost: Promise<never>;
  stop(): Promise<void>;
}

/** Variables by which a measured night would read other data, or tell people about itself. */
const NOT_OURS = [
  'SOURCE_DATABASE_URL',
  'NIGHTJAR_ALERT_WEBHOOK_URL',
  'NIGHTJAR_ALERT_WEBHOOK_SECRET',
  'NIGHTJAR_ALERT_EMAIL_TO',
  'NIGHTJAR_ALERT_EMAIL_FROM',
  'NIGHTJAR_SMTP_URL',
  'TEMPORAL_NAMESPACE',
  'TEMPORAL_UI_URL',
];

/**
 * Brings up PostgreSQL over what earlier calls left, with the settings of every local stack, and a Temporal server
 * without a past: a night that a killed call left behind would come to life.
 * @throws where another call has them
 */
export async function startNightServers(
  stateDirectory: string,
  say: (line: string) => void,
): Promise<NightServers> {
  const bare = { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' };
  const stacks: Stack[] = [];
  const stop = async (): Promise<void> => {
    for (const stack of stacks.reverse()) await stack.stop();
  };
  try {
    const postgres = await startStack({ stateDirectory, temporal: false, env: bare, log: say });
    stacks.push(postgres);
    if (postgres.attached)
      throw new Error(`another measurement is under way in ${stateDirectory}: they would measure each other`);
    const temporal = await startStack({ ephemeral: true, postgres: false, env: bare, log: say });
    stacks.push(temporal);
    if (postgres.databaseUrl === null || temporal.temporalAddress === null)
      throw new Error('the servers came up without their addresses');
    const { databaseUrl } = postgres;
    const admin = connect({ url: databaseUrl, applicationName: 'nightjar-bench', max: 1 });
    const cache = join(stateDirectory, 'worker-cache');
    await rm(cache, { recursive: true, force: true });
    const lost = Promise.race([postgres.lost, temporal.lost]);
    lost.catch(() => undefined);
    return {
      directory: postgres.stateDirectory,
      env: {
        ...process.env,
        ...Object.fromEntries(NOT_OURS.map((name) => [name, ''])),
        TEMPORAL_ADDRESS: temporal.temporalAddress,
        NIGHTJAR_CACHE: cache,
      },
      admin,
      urlOf: (database) => {
        const url = new URL(databaseUrl);
        url.pathname = `/${database}`;
        return url.toString();
      },
      lost,
      stop: async () => {
        await admin.close();
        await stop();
        await rm(cache, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export async function databaseExists(db: Db, name: string): Promise<boolean> {
  const { rows } = await sql`select from pg_database where datname = ${name}`.execute(db);
  return rows.length > 0;
}

export async function dropDatabase(db: Db, name: string): Promise<void> {
  await sql`drop database if exists ${sql.id(name)} with (force)`.execute(db);
}

/** Makes a database out of another one that nobody uses, file by file: what was there of that name is gone. */
export async function copyDatabase(db: Db, from: string, to: string): Promise<void> {
  await dropDatabase(db, to);
  await sql`create database ${sql.id(to)} template ${sql.id(from)} strategy file_copy`.execute(db);
}

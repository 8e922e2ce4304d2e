import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Database } from './types/index.ts';

export type Db = Kysely<Database>;

export interface ConnectOptions {
  /** PostgreSQL URL. Never logged: `describeDatabase` gives what may be shown. */
  url: string;
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** Most connections at a time. */
  max?: number;
  /** Told of connections that broke while nobody was using them. */
  onConnectionError?: (error: Error) => void;
  /** Told of each connection when it is made. */
  onConnection?: (client: pg.PoolClient) => void;
}

/** Settings of every session, each with its reason. */
const SESSION = {
  // Days are UTC.
  timezone: 'UTC',
  // The planner's just-in-time compiler costs more than it gives on queries of seconds.
  jit: 'off',
  // What a sort or hash over 25 million ratings by 160,000 users takes; at the default of 4 MB it goes over the disk.
  work_mem: '128MB',
  // A scan that joins another one half-way would give the rows of a snapshot in another order each time.
  synchronize_seqscans: 'off',
  // A worker that was stopped, or whose host is gone, between two statements of a transaction holds what it has locked:
  // for this long at most. None of ours is idle in one for longer than a round trip.
  idle_in_transaction_session_timeout: '30s',
  tcp_keepalives_idle: 30,
  tcp_keepalives_interval: 10,
  tcp_keepalives_count: 3,
};

/** A pool and the typed query builder over it; `close` ends both. */
export interface Connection {
  db: Db;
  pool: pg.Pool;
  close(): Promise<void>;
}

/** What PostgreSQL sends as text by default, and what it means here. */
function parsers(): pg.CustomTypesConfig {
  const number = (text: string): number => Number(text);
  const text = (value: string): string => value;
  const byOid = new Map<number, (value: string) => unknown>([
    // Counts stay far below 2^53, where a double is still exact.
    [pg.types.builtins.INT8, number],
    [pg.types.builtins.NUMERIC, number],
    // A date is a day, not an instant in the process's own zone.
    [pg.types.builtins.DATE, text],
  ]);
  const defaults = pg.types.getTypeParser as (oid: number, format?: string) => unknown;
  const getTypeParser = (oid: number, format?: 'text' | 'binary'): unknown =>
    (format === 'binary' ? undefined : byOid.get(oid)) ?? defaults(oid, format);
  return { getTypeParser };
}

/**
 * Opens a pool. A backend that is killed raises `error` on its client: on an idle one the pool reports it, on
 * one that is checked out only a listener of the client itself keeps the process alive.
 */
export function connect(options: ConnectOptions): Connection {
  const report = options.onConnectionError ?? (() => undefined);
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max ?? 4,
    application_name: options.applicationName,
    types: parsers(),
    options: Object.entries(SESSION)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  pool.on('error', report);
  pool.on('connect', (client) => {
    client.on('error', report);
    options.onConnection?.(client);
  });
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  return { db, pool, close: () => db.destroy() };
}

/** The URL without its password, for people and logs. */
export function describeDatabase(url: string): string {
  try {
    const shown = new URL(url);
    shown.password = '';
    // The driver takes it from here too.
    shown.searchParams.delete('password');
    return shown.toString();
  } catch {
    return 'a database URL that cannot be parsed';
  }
}

/**
 * Fails fast where a database that the environment names does not answer; its URL may hold a password and is not shown.
 * @throws with one sentence that names the variable, and the server by host, port and database
 */
export async function assertAnswers(variable: string, url: string): Promise<void> {
  const parsed = URL.parse(url);
  // Not by the exception of a constructor: it carries what it could not parse, and a debugging command shows that.
  if (parsed === null) throw new Error(`${variable} names a URL that cannot be parsed`);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
  } catch (error) {
    const why =
      error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
    const where = `${parsed.hostname}:${parsed.port || 5432}${parsed.pathname}`;
    throw new Error(`${variable} names ${where}, which does not answer: ${why}`, { cause: error });
  }
}

/** Whether two pools lead to the same database by the same URL; a statement of one may then read for the other. */
export function isSameDatabase(one: Connection, other: Connection): boolean {
  return one.pool.options.connectionString === other.pool.options.connectionString;
}

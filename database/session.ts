import { setTimeout } from 'node:timers/promises';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from 'kysely';
import pg from 'pg';
import type { Connection, Db } from './connect.ts';
import { isCopying } from './copy.ts';
import type { Database } from './types/index.ts';

/** One open transaction: the typed query builder and the client under it, which COPY needs. */
export interface Session {
  db: Db;
  client: pg.PoolClient;
}

export interface TransactionOptions {
  /** Cancels the statement that is running, which rolls the transaction back. */
  signal?: AbortSignal;
  isolation?: 'repeatable read';
  /** A snapshot that another transaction has exported and still holds open; implies repeatable read. */
  snapshot?: string;
}

/**
 * Runs `body` in a transaction on a connection of its own: committed when it returns, rolled back when it throws.
 * A connection that cannot even roll back (its backend was killed) is thrown away, not given back to the pool.
 */
export async function transaction<Result>(
  connection: Connection,
  body: (session: Session) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  const client = await connection.pool.connect();
  let broken = false;
  const watch = cancelOnAbort(connection, client, options.signal);
  try {
    options.signal?.throwIfAborted();
    await begin(client, options);
    const result = await body({ db: onClient(client), client });
    options.signal?.throwIfAborted();
    await client.query('commit');
    return result;
  } catch (error) {
    await watch.end();
    // A COPY that was left in the middle still sends: the connection would never get to the rollback.
    broken = isCopying(client);
    if (!broken) await client.query('rollback').catch(() => (broken = true));
    throw error;
  } finally {
    await watch.end();
    client.release(broken);
  }
}

/** Settings of the server, by their names, for the rest of a transaction. */
export async function setLocal(db: Db, settings: Record<string, string>): Promise<void> {
  const each = Object.entries(settings).map(([name, value]) => sql`set_config(${name}, ${value}, true)`);
  await sql`select ${sql.join(each)}`.execute(db);
}

/**
 * The view that an open transaction has, for other transactions to have too (`TransactionOptions`); it then waits for them as
 * long as they take. By one statement, so that whatever is sent after the call is behind it.
 */
export async function exportSnapshot(client: pg.PoolClient): Promise<{ snapshot: string }> {
  const { rows } = await client.query<{ snapshot: string }>(
    `select set_config('idle_in_transaction_session_timeout', '0', true), pg_export_snapshot() as snapshot`,
  );
  return { snapshot: rows[0].snapshot };
}

async function begin(client: pg.PoolClient, { isolation, snapshot }: TransactionOptions): Promise<void> {
  if (snapshot === undefined) {
    await client.query(isolation === undefined ? 'begin' : `begin isolation level ${isolation}`);
    return;
  }
  await client.query('begin isolation level repeatable read');
  await client.query(`set transaction snapshot ${client.escapeLiteral(snapshot)}`);
}

/** Runs `body` on a connection of its own without a transaction, for statements that refuse to be in one. */
export async function outsideTransaction<Result>(
  connection: Connection,
  body: (db: Db) => Promise<Result>,
  { signal }: Pick<TransactionOptions, 'signal'>,
): Promise<Result> {
  const client = await connection.pool.connect();
  const watch = cancelOnAbort(connection, client, signal);
  try {
    signal?.throwIfAborted();
    return await body(onClient(client));
  } finally {
    await watch.end();
    client.release();
  }
}

/** The query builder on one client. */
function onClient(client: pg.PoolClient): Db {
  const borrowed = Object.assign(Object.create(client) as PostgresPoolClient, { release: () => undefined });
  borrowed.query = client.query.bind(client);
  const pool = {
    connect: () => Promise.resolve(borrowed),
    end: () => Promise.resolve(),
  } as unknown as PostgresPool;
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}

/** A body may be between two statements when it is to be cancelled: it is asked again until it has ended. */
const CANCEL_AGAIN_MILLISECONDS = 200;

/**
 * Asks the server to cancel what `client` runs when `signal` aborts, on a connection of its own: the pool may have
 * none left.
 * @returns `end`, to be awaited before the client serves anything else: a cancellation under way would hit that
 */
function cancelOnAbort(
  connection: Connection,
  client: pg.PoolClient,
  signal?: AbortSignal,
): { end: () => Promise<void> } {
  const { processID } = client as pg.PoolClient & { processID: number };
  const ended = new AbortController();
  let asking: Promise<void> = Promise.resolve();
  const ask = async (): Promise<void> => {
    const asker = new pg.Client(connection.pool.options);
    asker.on('error', () => undefined);
    try {
      await asker.connect();
      while (!ended.signal.aborted) {
        await asker.query('select pg_cancel_backend($1)', [processID]);
        await setTimeout(CANCEL_AGAIN_MILLISECONDS, undefined, { signal: ended.signal });
      }
    } catch {
      // Ended, or the server is gone and the statement with it.
    } finally {
      await asker.end().catch(() => undefined);
    }
  };
  const start = (): void => void (asking = ask());
  if (signal?.aborted) start();
  else signal?.addEventListener('abort', start, { once: true });
  return {
    end: () => {
      signal?.removeEventListener('abort', start);
      ended.abort();
      return asking;
    },
  };
}

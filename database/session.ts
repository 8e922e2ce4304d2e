import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import type pg from 'pg';
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
  options.signal?.throwIfAborted();
  const client = await connection.pool.connect();
  let broken = false;
  const cancelled = cancelOnAbort(connection, client, options.signal);
  try {
    await client.query(
      options.isolation === undefined ? 'begin' : `begin isolation level ${options.isolation}`,
    );
    const result = await body({ db: onClient(client), client });
    await client.query('commit');
    return result;
  } catch (error) {
    // A COPY that was left in the middle still sends: the connection would never get to the rollback.
    broken = isCopying(client);
    if (!broken) await client.query('rollback').catch(() => (broken = true));
    throw error;
  } finally {
    await cancelled();
    client.release(broken);
  }
}

/** Runs `body` on a connection of its own without a transaction, for statements that refuse to be in one. */
export async function outsideTransaction<Result>(
  connection: Connection,
  body: (db: Db) => Promise<Result>,
  { signal }: Pick<TransactionOptions, 'signal'>,
): Promise<Result> {
  signal?.throwIfAborted();
  const client = await connection.pool.connect();
  const cancelled = cancelOnAbort(connection, client, signal);
  try {
    return await body(onClient(client));
  } finally {
    await cancelled();
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

/**
 * Asks the server, through another connection, to cancel what `client` runs when `signal` aborts.
 * @returns what to await before the client is given back: a cancellation under way must not hit its next user
 */
function cancelOnAbort(
  connection: Connection,
  client: pg.PoolClient,
  signal?: AbortSignal,
): () => Promise<unknown> {
  const { processID } = client as pg.PoolClient & { processID: number };
  let asked: Promise<unknown> = Promise.resolve();
  const cancel = (): void => {
    // A failure here means that the backend is gone, which is what was wanted.
    asked = connection.pool.query('select pg_cancel_backend($1)', [processID]).catch(() => undefined);
  };
  signal?.addEventListener('abort', cancel, { once: true });
  return () => {
    signal?.removeEventListener('abort', cancel);
    return asked;
  };
}

/** One question asked of several tables side by side. */

import type { Readable } from 'node:stream';
import { type RawBuilder, sql } from 'kysely';
import type { Connection } from './connect.ts';
import { copyIn, copyOut, copyTableOut } from './copy.ts';
import { type Session, exportSnapshot, transaction } from './session.ts';

/**
 * Makes a temporary table, gone at the end of the session's transaction, of what `queries` give together: the same columns, no
 * parameters. Each runs on a connection of its own, in the view that the transaction has now: where no two of them give rows of
 * one group that spares what PostgreSQL's parallel plans do, which has every process group some rows of all and puts the groups
 * together after. Rows pass through us by COPY as bytes, which we hold in memory until the last query has ended: for queries
 * that give far less than they read.
 * @throws what the first query that fails throws, when none is at work any more
 */
export async function gather(
  connection: Connection,
  { db, client }: Session,
  table: string,
  queries: readonly RawBuilder<unknown>[],
  signal: AbortSignal,
): Promise<void> {
  const made = sql`create temporary table ${sql.table(table)} on commit drop as ${queries[0]}`;
  if (queries.length === 1) {
    await made.execute(db);
    return;
  }
  await sql`${made} with no data`.execute(db);
  const answers = await beside(
    connection,
    client,
    queries.map(
      (query) => (other: Session) =>
        copyOut(other.client, query.compile(other.db).sql).toArray() as Promise<Buffer[]>,
    ),
    signal,
  );
  for (const answer of answers) await copyIn(client, { table, options: 'format binary' }, answer);
}

/**
 * Does `readings` side by side, each by a connection of its own, in the view that the transaction of `client` has now.
 * @throws what the first that fails throws, when none is at work any more
 */
async function beside<Result>(
  connection: Connection,
  client: Session['client'],
  readings: readonly ((session: Session) => Promise<Result>)[],
  signal: AbortSignal,
): Promise<Result[]> {
  const { rows } = await client.query<{ idle: string }>(
    `select current_setting('idle_in_transaction_session_timeout') as idle`,
  );
  const view = await exportSnapshot(client);
  // Where one fails nobody waits for what the others find.
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const answers = readings.map((reading) =>
    transaction(connection, reading, { signal: stop, ...view }).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(answers);
  stop.throwIfAborted();
  // It waits for nobody any more: should we stand still now, what it has locked is not to stay so.
  await client.query(`select set_config('idle_in_transaction_session_timeout', $1, true)`, [rows[0].idle]);
  return Promise.all(answers);
}

/** Has `read` take the COPY of columns of each of `tables` in the same way. */
export async function copyBeside(
  connection: Connection,
  client: Session['client'],
  { tables, columns }: { tables: readonly string[]; columns: readonly string[] },
  read: (copy: Readable) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const readings = tables.map(
    (table) => (other: Session) => read(copyTableOut(other.client, table, columns)),
  );
  await beside(connection, client, readings, signal);
}

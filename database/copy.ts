/** COPY: rows in and out by the stream, never as objects one by one. */

import { pipeline } from 'node:stream/promises';
import { Readable, type Transform, type Writable } from 'node:stream';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { copyOfServer } from './copy-out.ts';

/** A connection that may run COPY: taken from a pool, or the one under a Kysely transaction. */
export type CopyClient = pg.ClientBase;

export interface CopyTarget {
  /** Qualified name, e.g. `bronze.ratings_run7`. */
  table: string;
  /** All that the table has, in its order, by default. */
  columns?: readonly string[];
  /** PostgreSQL's options, e.g. `format csv, header match`. Text format by default. */
  options?: string;
}

const listed = (columns: readonly string[]): string =>
  `(${columns.map((column) => `"${column}"`).join(', ')})`;

/** The COPY statement of a target. */
export function copyInStatement({ table, columns, options }: CopyTarget): string {
  const name = table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
  return `copy ${name}${columns === undefined ? '' : ` ${listed(columns)}`} from stdin${options === undefined ? '' : ` with (${options})`}`;
}

/**
 * Streams chunks of COPY text into a table inside the client's open transaction, with back-pressure.
 * @returns the number of rows that PostgreSQL took
 * @throws PostgreSQL's error, whose `where` names the line; the caller's transaction is then to be rolled back
 */
export async function copyIn(
  client: CopyClient,
  target: CopyTarget,
  source: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array> | Readable,
  options: { transforms?: Transform[]; signal?: AbortSignal } = {},
): Promise<number> {
  const sink = client.query(copyFrom(copyInStatement(target)));
  const readable = source instanceof Readable ? source : Readable.from(source, { objectMode: false });
  await pipeline([readable, ...(options.transforms ?? []), sink as Writable], { signal: options.signal });
  return sink.rowCount;
}

/** Clients whose COPY to us has not been read to its end. */
const copying = new WeakSet<CopyClient>();

/** Whether the client's last `copyOut` was given up before its end: it can then serve nothing any more. */
export function isCopying(client: CopyClient): boolean {
  return copying.has(client);
}

/** Streams what a query gives in COPY's binary format, as PostgreSQL sends it. */
export function copyOut(client: CopyClient, query: string): Readable {
  return copyFromServer(client, `(${query})`);
}

/** The same of columns of a table that is no partitioned one; its name as in a statement. */
export function copyTableOut(client: CopyClient, table: string, columns: readonly string[]): Readable {
  return copyFromServer(client, `${table} ${listed(columns)}`);
}

function copyFromServer(client: CopyClient, source: string): Readable {
  const stream = client.query(copyOfServer(`copy ${source} to stdout with (format binary)`));
  copying.add(client);
  stream.on('end', () => copying.delete(client));
  // Only an error of the server's own ends the COPY there too.
  stream.on('error', (error) => 'severity' in error && copying.delete(client));
  return stream;
}

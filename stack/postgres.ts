import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Service } from './keeper-protocol.ts';
import type { PostgresBinaries, UnprivilegedUser } from './places.ts';

export const ROLE = 'nightjar';

/** Each with its reason; the rest is PostgreSQL's default. */
const SETTINGS: Record<string, string> = {
  // Loopback only, and every local user is trusted: a development stack, whose printed URL works as it is.
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // A quarter of a small laptop's memory at most; the operating system's cache does the rest.
  shared_buffers: '512MB',
  // Hash and sort of 25 million ratings in few passes; the night runs at most four such statements at a time.
  work_mem: '128MB',
  maintenance_work_mem: '512MB',
  // Nobody replicates a development stack; then COPY and CREATE TABLE AS into new tables need no WAL.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // No checkpoint in the middle of a load.
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  // Compiling a plan costs more than it gives on statements of seconds.
  jit: 'off',
  max_connections: '100',
  // The leader works too: one process for each processor, more only take turns.
  max_parallel_workers_per_gather: String(Math.max(1, availableParallelism() - 1)),
};

/** Where 18 has other defaults than those before it; docs/decisions/0024-local-postgres.md. */
const SINCE_18: Record<string, string> = {
  // Each process reads for itself: handed to the server's three reading processes, a scan on two cores takes a quarter longer.
  io_method: 'sync',
};

/** Of the server that a binary is of. */
function majorVersion(binary: string): number {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  return Number(/\) (\d+)/.exec(stdout)?.[1] ?? 0);
}

/** For tests: what a crash would cost does not matter, the time of a flush does. */
const EPHEMERAL: Record<string, string> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
};

/** Creates the data directory where there is none; a creation that was interrupted leaves nothing behind. */
export function initialise(
  directory: string,
  { initdb }: PostgresBinaries,
  user: UnprivilegedUser | null,
): void {
  const data = join(directory, 'data');
  if (existsSync(data)) return;
  const partial = join(directory, 'data.partial');
  rmSync(partial, { recursive: true, force: true });
  // With them, the default since 18, the first read of a new table writes all of it to the WAL.
  const checksums = majorVersion(initdb) >= 18 ? ['--no-data-checksums'] : [];
  const { status, stderr, error } = spawnSync(
    initdb,
    [
      '-D',
      partial,
      '-U',
      ROLE,
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
      ...checksums,
    ],
    { ...user, cwd: directory, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`initdb failed in ${partial}: ${error?.message ?? stderr.trim()}`);
  chmodSync(partial, 0o700);
  renameSync(partial, data);
}

export function postgresService(options: {
  directory: string;
  logDirectory: string;
  binaries: PostgresBinaries;
  user: UnprivilegedUser | null;
  port: number;
  ephemeral: boolean;
}): Service {
  const { directory, binaries, user, port, ephemeral } = options;
  const settings = {
    ...SETTINGS,
    ...(majorVersion(binaries.postgres) >= 18 ? SINCE_18 : {}),
    ...(ephemeral ? EPHEMERAL : {}),
    port: String(port),
  };
  return {
    name: 'postgres',
    command: binaries.postgres,
    args: [
      '-D',
      join(directory, 'data'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    user,
    cwd: directory,
    logFile: join(options.logDirectory, 'postgres.log'),
  };
}

/** Waits until the server takes connections, and creates our database where it is missing. */
export async function awaitPostgres(port: number, lost: Promise<never>): Promise<string> {
  const server = `postgresql://${ROLE}@127.0.0.1:${port}`;
  const ended = new AbortController();
  lost.catch(() => ended.abort());
  const client = await Promise.race([firstConnection(`${server}/postgres`, ended.signal), lost]);
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [ROLE]);
    if (rowCount === 0) await client.query(`create database ${ROLE}`);
  } finally {
    await client.end();
  }
  return `${server}/${ROLE}`;
}

/** Recovery after a crash may take a while; a start without one takes a fraction of a second. */
const START_MILLISECONDS = 60_000;

async function firstConnection(url: string, lost: AbortSignal): Promise<pg.Client> {
  const deadline = Date.now() + START_MILLISECONDS;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    // A backend that dies later is reported by the query that needed it.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      if (Date.now() > deadline || lost.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Servers of a test's own, apart from the shared ones and from the local stack: to be killed and started again. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import type { Service } from '../../stack/keeper-protocol.ts';
import { type PostgresBinaries, findPostgres, makeOwnDirectory, postgresUser } from '../../stack/places.ts';
import { awaitPostgres, initialise, postgresService } from '../../stack/postgres.ts';
import { awaitTemporal, temporalService } from '../../stack/temporal.ts';
import { findTemporal } from '../../stack/temporal-cli.ts';

export interface TestServer {
  /** Database URL, or Temporal's address. */
  address: string;
  /** Ends it with a signal and starts it again on the same port and state. */
  restart(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** Of a PostgreSQL that was killed: how long its backends may take to notice, while no other can be started. */
const LEFT_OVER_MILLISECONDS = 30_000;

async function keep(
  service: Service,
  ready: (lost: Promise<never>) => Promise<string>,
  directory: string,
): Promise<TestServer> {
  const log = openSync(service.logFile, 'a');
  let child: ChildProcess;
  const start = async (): Promise<string> => {
    const started = spawn(service.command, service.args, {
      ...service.user,
      cwd: service.cwd,
      stdio: ['ignore', log, log],
    });
    child = started;
    const lost = new Promise<never>((_, reject) => {
      started.once('exit', () => {
        reject(new Error(`${service.name} ended at its start: ${readFileSync(service.logFile, 'utf8')}`));
      });
    });
    lost.catch(() => undefined);
    return ready(lost);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    address: await start(),
    restart: async (signal) => {
      await end(signal);
      const deadline = Date.now() + LEFT_OVER_MILLISECONDS;
      for (;;) {
        try {
          await start();
          return;
        } catch (error) {
          if (Date.now() > deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    },
    stop: async () => {
      await end('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'nightjar-server-'));
  chmodSync(directory, 0o755);
  return directory;
}

/** A PostgreSQL that is installed on this machine where Debian puts it, the oldest that we support; else none. */
export function installedPostgres(): PostgresBinaries | null {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).map(Number) : [];
  const oldest = versions.filter((version) => version >= 15).sort((a, b) => a - b)[0];
  const bin = join(root, String(oldest), 'bin');
  return existsSync(join(bin, 'initdb'))
    ? { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
    : null;
}

/** The installed PostgreSQL, or the embedded one's programs where there is none. */
export async function startPostgres(): Promise<TestServer> {
  const stateDirectory = folder();
  const user = postgresUser();
  const directory = join(stateDirectory, 'postgres');
  makeOwnDirectory(directory, user);
  const binaries = installedPostgres() ?? (await findPostgres(stateDirectory, user));
  initialise(directory, binaries, user);
  const port = await getPort({ host: '127.0.0.1' });
  const options = { directory, logDirectory: stateDirectory, binaries, user, port, ephemeral: false };
  return keep(postgresService(options), (lost) => awaitPostgres(port, lost), stateDirectory);
}

export async function startTemporal(): Promise<TestServer> {
  const stateDirectory = folder();
  const command = await findTemporal(process.env, () => undefined);
  const port = await getPort({ host: '127.0.0.1' });
  const uiPort = await getPort({ host: '127.0.0.1' });
  const options = { command, stateDirectory, logDirectory: stateDirectory, port, uiPort };
  const ready = async (lost: Promise<never>): Promise<string> => {
    await awaitTemporal(`127.0.0.1:${port}`, lost);
    return `127.0.0.1:${port}`;
  };
  return keep(temporalService(options), ready, stateDirectory);
}

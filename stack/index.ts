/** PostgreSQL and the Temporal server with its UI on one machine, where the environment names no real ones. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { assertAnswers } from '../database/connect.ts';
import { type Keeper, startKeeper } from './keeper-client.ts';
import { STATE_DIRECTORY, chooseStateDirectory, findPostgres, postgresUser } from './places.ts';
import { awaitPostgres, initialise, postgresService } from './postgres.ts';
import {
  type StackState,
  assertSamePair,
  isKept,
  markUse,
  pairOf,
  readState,
  removeStateFile,
  stopLeftovers,
  usersOf,
  withStartLock,
  writeState,
} from './state.ts';
import { NAMESPACE, awaitTemporal, checkTemporal, temporalService } from './temporal.ts';
import { findTemporal } from './temporal-cli.ts';
import { stateDirectories } from './reset.ts';

export { removeState } from './reset.ts';
export { whenOrphaned } from './processes.ts';

export interface StackOptions {
  /** `.nightjar` of the clone by default. */
  stateDirectory?: string;
  /** Which servers to bring up; both by default. */
  postgres?: boolean;
  temporal?: boolean;
  /** A stack for tests: in a temporary folder, without flushes, gone afterwards. */
  ephemeral?: boolean;
  env?: NodeJS.ProcessEnv;
  log: (line: string) => void;
}

/** Endpoints; null where there is no such server. */
export interface Servers {
  databaseUrl: string | null;
  temporalAddress: string | null;
  temporalNamespace: string;
  uiUrl: string | null;
}

export interface Stack extends Servers {
  stateDirectory: string;
  logDirectory: string;
  /** A stack that another process keeps: it stays up when we stop. */
  attached: boolean;
  /** Rejects when a server that we started ends by itself. */
  lost: Promise<never>;
  /** Other processes that use the servers we started. */
  users(): number[];
  stop(): Promise<void>;
}

/**
 * Brings up the servers that the environment does not name (`DATABASE_URL`, `TEMPORAL_ADDRESS`), or attaches to
 * a stack of the same folder that runs already. They stop with this process, however it ends.
 * @throws with one sentence that says what was tried and where to look
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { log, env = process.env, ephemeral = false } = options;
  const named = { databaseUrl: env.DATABASE_URL || null, temporalAddress: env.TEMPORAL_ADDRESS || null };
  const wants = {
    postgres: (options.postgres ?? true) && named.databaseUrl === null,
    temporal: (options.temporal ?? true) && named.temporalAddress === null,
  };
  if (named.databaseUrl !== null && (options.postgres ?? true))
    await assertAnswers('DATABASE_URL', named.databaseUrl);
  if (named.temporalAddress !== null && (options.temporal ?? true))
    await checkTemporal(named.temporalAddress, env);

  const wanted = options.stateDirectory ?? (ephemeral ? temporaryDirectory() : STATE_DIRECTORY);
  const user = wants.postgres ? postgresUser() : null;
  // With servers of its own a command needs no folder, and in a container there is none that it may write to.
  const stateDirectory = wants.postgres || wants.temporal ? chooseStateDirectory(wanted, user, log) : wanted;
  const logDirectory = join(stateDirectory, 'logs');
  const base = {
    ...named,
    temporalNamespace: env.TEMPORAL_NAMESPACE || NAMESPACE,
    uiUrl: env.TEMPORAL_UI_URL || null,
    stateDirectory,
    logDirectory,
  };
  if (!wants.postgres && !wants.temporal) {
    return { ...base, attached: false, lost: never(), users: () => [], stop: () => Promise.resolve() };
  }

  mkdirSync(logDirectory, { recursive: true });
  return withStartLock(stateDirectory, async () => {
    const other = readState(stateDirectory);
    if (other !== null && isKept(other)) {
      if (
        (wants.postgres && other.databaseUrl === null) ||
        (wants.temporal && other.temporalAddress === null)
      ) {
        throw new Error(
          `a stack without all that is needed runs in ${stateDirectory} (process ${other.keeper}); stop it first`,
        );
      }
      const databaseUrl = named.databaseUrl ?? other.databaseUrl;
      const temporalAddress = named.temporalAddress ?? other.temporalAddress;
      if (options.temporal ?? true) assertSamePair(other, databaseUrl, temporalAddress);
      const unmark = markUse(stateDirectory);
      log(`using the stack that runs already (process ${other.keeper})`);
      return {
        ...base,
        databaseUrl,
        temporalAddress,
        uiUrl: base.uiUrl ?? other.uiUrl,
        attached: true,
        lost: never(),
        users: () => [],
        stop: () => Promise.resolve(unmark()),
      };
    }
    await stopLeftovers(stateDirectory, log);
    const keeper = startKeeper(logDirectory);
    const state: StackState = {
      keeper: keeper.pid,
      services: [],
      databaseUrl: null,
      temporalAddress: null,
      uiUrl: null,
      pair: '',
    };
    let stopping: Promise<void> | null = null;
    const shutDown = async (): Promise<void> => {
      await keeper.stop();
      removeStateFile(stateDirectory);
      if (ephemeral) rmSync(stateDirectory, { recursive: true, force: true });
    };
    try {
      await Promise.all([
        wants.postgres
          ? bringUpPostgres(keeper, state, { stateDirectory, logDirectory, user, ephemeral })
          : null,
        wants.temporal ? bringUpTemporal(keeper, state, { stateDirectory, logDirectory, env, log }) : null,
      ]);
      state.pair = pairOf(
        named.databaseUrl ?? state.databaseUrl,
        named.temporalAddress ?? state.temporalAddress,
      );
      writeState(stateDirectory, state);
    } catch (error) {
      await shutDown();
      throw error;
    }
    return {
      ...base,
      databaseUrl: named.databaseUrl ?? state.databaseUrl,
      temporalAddress: named.temporalAddress ?? state.temporalAddress,
      uiUrl: base.uiUrl ?? state.uiUrl,
      attached: false,
      lost: keeper.lost,
      users: () => usersOf(stateDirectory),
      // Whoever starts meanwhile waits until the servers are gone, and starts them anew.
      stop: () => (stopping ??= withStartLock(stateDirectory, shutDown)),
    };
  });
}

async function bringUpPostgres(
  keeper: Keeper,
  state: StackState,
  options: {
    stateDirectory: string;
    logDirectory: string;
    user: ReturnType<typeof postgresUser>;
    ephemeral: boolean;
  },
): Promise<void> {
  const { stateDirectory, user } = options;
  const directory = join(stateDirectory, 'postgres');
  const binaries = await findPostgres(stateDirectory, user);
  initialise(directory, binaries, user);
  const port = await getPort({ port: 5432, host: '127.0.0.1' });
  const pid = await keeper.start(postgresService({ ...options, directory, binaries, port }));
  state.services.push({ name: 'postgres', pid });
  writeState(stateDirectory, state);
  state.databaseUrl = await awaitPostgres(port, keeper.lost);
}

async function bringUpTemporal(
  keeper: Keeper,
  state: StackState,
  options: {
    stateDirectory: string;
    logDirectory: string;
    env: NodeJS.ProcessEnv;
    log: (line: string) => void;
  },
): Promise<void> {
  const { stateDirectory, env, log } = options;
  const command = await findTemporal(env, log);
  const port = await getPort({ port: 7233, host: '127.0.0.1' });
  const uiPort = await getPort({ port: 8233, host: '127.0.0.1' });
  const pid = await keeper.start(temporalService({ ...options, command, port, uiPort }));
  state.services.push({ name: 'temporal', pid });
  writeState(stateDirectory, state);
  await awaitTemporal(`127.0.0.1:${port}`, keeper.lost);
  state.temporalAddress = `127.0.0.1:${port}`;
  state.uiUrl = `http://127.0.0.1:${uiPort}`;
}

/**
 * The servers that the environment names, else those of the local stack where one runs. Starts nothing.
 * @throws where the environment names one server and the local stack works for another pair
 */
export function findServers(env: NodeJS.ProcessEnv = process.env): Servers {
  const local = stateDirectories()
    .map(readState)
    .find((state) => state !== null && isKept(state));
  const databaseUrl = env.DATABASE_URL || (local?.databaseUrl ?? null);
  const temporalAddress = env.TEMPORAL_ADDRESS || (local?.temporalAddress ?? null);
  const oneIsNamed = Boolean(env.DATABASE_URL) !== Boolean(env.TEMPORAL_ADDRESS);
  if (local && oneIsNamed) assertSamePair(local, databaseUrl, temporalAddress);
  return {
    databaseUrl,
    temporalAddress,
    temporalNamespace: env.TEMPORAL_NAMESPACE || NAMESPACE,
    uiUrl: env.TEMPORAL_UI_URL || (local?.uiUrl ?? null),
  };
}

/** Open to PostgreSQL's own user, which is not the one that runs us as root. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'nightjar-stack-'));
  chmodSync(directory, 0o755);
  return directory;
}

function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

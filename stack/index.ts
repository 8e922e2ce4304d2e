/** PostgreSQL and the Temporal server with its UI on one machine, where the environment names no real ones. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertAnswers } from '../database/connect.ts';
import { bringUp } from './bring-up.ts';
import { STATE_DIRECTORY, chooseStateDirectory, postgresUser } from './places.ts';
import {
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
import { NAMESPACE, checkTemporal } from './temporal.ts';
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
    const { keeper, state } = await bringUp(wants, {
      stateDirectory,
      logDirectory,
      user,
      ephemeral,
      env,
      log,
    });
    state.pair = pairOf(
      named.databaseUrl ?? state.databaseUrl,
      named.temporalAddress ?? state.temporalAddress,
    );
    writeState(stateDirectory, state);
    let stopping: Promise<void> | null = null;
    const shutDown = async (): Promise<void> => {
      await keeper.stop();
      removeStateFile(stateDirectory);
      if (ephemeral) rmSync(stateDirectory, { recursive: true, force: true });
    };
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

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import getPort from 'get-port';
import { type Keeper, ServerEndedError, startKeeper } from './keeper-client.ts';
import { findPostgres, type postgresUser } from './places.ts';
import { awaitPostgres, initialise, postgresService } from './postgres.ts';
import { type StackState, removeStateFile, writeState } from './state.ts';
import { awaitTemporal, temporalService } from './temporal.ts';
import { findTemporal } from './temporal-cli.ts';

interface BringUpOptions {
  stateDirectory: string;
  logDirectory: string;
  user: ReturnType<typeof postgresUser>;
  ephemeral: boolean;
  env: NodeJS.ProcessEnv;
  log: (line: string) => void;
}

/** A port that was free may be taken when a server comes to bind it: then on others. */
const ATTEMPTS = 3;

/**
 * Starts the servers that are wanted under a keeper.
 * @throws where one does not come up, with its log; nothing of them stays
 */
export async function bringUp(
  wants: { postgres: boolean; temporal: boolean },
  options: BringUpOptions,
): Promise<{ keeper: Keeper; state: StackState }> {
  const { stateDirectory, logDirectory, ephemeral, log } = options;
  for (let attempt = 1; ; attempt++) {
    const keeper = startKeeper(logDirectory);
    const state: StackState = {
      keeper: keeper.pid,
      services: [],
      databaseUrl: null,
      temporalAddress: null,
      uiUrl: null,
      pair: '',
    };
    try {
      await Promise.all([
        wants.postgres ? bringUpPostgres(keeper, state, options) : null,
        wants.temporal ? bringUpTemporal(keeper, state, options) : null,
      ]);
      return { keeper, state };
    } catch (error) {
      await keeper.stop();
      removeStateFile(stateDirectory);
      const again = error instanceof ServerEndedError && attempt < ATTEMPTS;
      if (!again && ephemeral) rmSync(stateDirectory, { recursive: true, force: true });
      if (!again) throw error;
      log(`${error.message}; trying again`);
    }
  }
}

async function bringUpPostgres(keeper: Keeper, state: StackState, options: BringUpOptions): Promise<void> {
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

async function bringUpTemporal(keeper: Keeper, state: StackState, options: BringUpOptions): Promise<void> {
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

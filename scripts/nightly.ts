/** The main job: everything that is missing, a night, and what it came to. */

import { readEnvironment } from '../config/environment.ts';
import { resolveSettings } from '../config/settings.ts';
import { assertAnswers } from '../database/connect.ts';
import { checkMovieLens } from '../data/import-movielens.ts';
import type { SetName } from '../data/movielens/download.ts';
import { createCommand, options, run } from './support/cli.ts';
import { loadWhereEmpty } from './support/load-source.ts';
import { startLocalStack, untilUnused } from './support/local-stack.ts';
import { dataOptions, obtainSet } from './support/movielens.ts';
import { runNight } from './support/night.ts';
import { untilStopped } from './support/until-stopped.ts';

interface NightlyOptions {
  data?: string;
  movielens?: SetName;
  asOf?: string;
  profile: string;
  set: string[];
  json?: boolean;
  keep?: boolean;
}

const command = createCommand(
  'nightly',
  'Run the nightly pipeline: bring up what is missing, load data where the source is empty, run, show.',
  [
    'npm run nightly',
    'npm run nightly -- --data ../shared/data/ml-latest-small',
    'npm run nightly -- --movielens ml-1m',
    'npm run nightly -- --as-of 2026-11-24T02:00:00Z --set alarm.rmseThreshold=0.9',
    'npm run --silent nightly -- --json > night.json',
  ],
)
  .addOption(dataOptions.data())
  .addOption(dataOptions.movielens())
  .addOption(options.asOf())
  .addOption(options.profile('small'))
  .addOption(options.set())
  .option('--keep', 'stay afterwards, with servers and UI up, until Ctrl-C')
  .addOption(options.json())
  .action(nightly);

async function nightly(given: NightlyOptions): Promise<void> {
  // Checked before anything is started, so that bad input changes nothing.
  resolveSettings(given.profile, given.set);
  if (given.data !== undefined) await checkMovieLens(given.data);
  if (process.env.DATABASE_URL) readEnvironment();
  const { SOURCE_DATABASE_URL: source } = process.env;
  if (source) await assertAnswers('SOURCE_DATABASE_URL', source);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const stopped = untilStopped();
  const unloaded = stopped.signal('stopped; the source is as it was');
  const set = given.movielens === undefined ? given.data : await obtainSet(given.movielens, unloaded);
  const starting = startLocalStack(say);
  const local = await stopped.or(starting).catch(async (error: unknown) => {
    // Stopped while the servers came up: they go down again once they can.
    await starting.then((late) => late.stop()).catch(() => undefined);
    throw error;
  });
  try {
    await loadWhereEmpty(source || local.databaseUrl, set, unloaded, say);
    await stopped.or(
      runNight({
        servers: local,
        temporal: local.temporal,
        request: {
          asOf: given.asOf ?? new Date().toISOString(),
          profile: given.profile,
          overrides: given.set,
        },
        json: given.json ?? false,
        wait: true,
        lost: local.lost,
        stackEnds: !local.attached && !process.env.TEMPORAL_ADDRESS && given.keep !== true,
      }),
      local.attached ? 'stopped; the night goes on in the stack that runs' : undefined,
    );
    if (given.keep === true) {
      say('servers and UI stay up; Ctrl-C ends them');
      await stopped.promise;
    }
    await untilUnused(local, stopped.promise, say);
  } finally {
    await local.stop();
  }
}

await run(command);

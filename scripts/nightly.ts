/** The main job: everything that is missing, a night, and what it came to. */

import { readEnvironment } from '../config/environment.ts';
import { resolveSettings } from '../config/settings.ts';
import { describeDatabase } from '../database/connect.ts';
import { createCommand, options, run } from './support/cli.ts';
import { followNight } from './support/follow.ts';
import { type LocalStack, startLocalStack } from './support/local-stack.ts';
import { loadWhereEmpty } from './support/load-source.ts';
import { showNight, runUrl } from './support/show-night.ts';
import { outcomeOf, startNight } from './support/start-night.ts';
import { untilStopped } from './support/until-stopped.ts';

interface NightlyOptions {
  data?: string;
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
    'npm run nightly -- --as-of 2026-11-24T02:00:00Z --set alarm.rmseThreshold=0.9',
    'npm run nightly -- --json > night.json',
  ],
)
  .option(
    '--data <folder>',
    'load this MovieLens folder (ratings.csv, movies.csv) instead of generated ratings',
  )
  .addOption(options.asOf())
  .addOption(options.profile('small'))
  .addOption(options.set())
  .option('--keep', 'stay afterwards, with servers and UI up, until Ctrl-C')
  .addOption(options.json())
  .action(nightly);

async function nightly(given: NightlyOptions): Promise<void> {
  // Checked before anything is started, so that bad input changes nothing.
  resolveSettings(given.profile, given.set);
  if (process.env.DATABASE_URL) readEnvironment();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const stopped = untilStopped();
  const local = await stopped.or(startLocalStack(say));
  try {
    await stopped.or(night(given, local, say));
    if (given.keep === true) {
      say('servers and UI stay up; Ctrl-C ends them');
      await stopped.promise;
    }
  } finally {
    await local.stop();
  }
}

async function night(given: NightlyOptions, local: LocalStack, say: (line: string) => void): Promise<void> {
  const source = process.env.SOURCE_DATABASE_URL || local.databaseUrl;
  await loadWhereEmpty(source, given.data, say);
  const asOf = given.asOf ?? new Date().toISOString();
  const handle = await startNight(local.temporal.client, {
    asOf,
    profile: given.profile,
    overrides: given.set,
  });
  const uiUrl = runUrl(local, handle.workflowId, handle.firstExecutionRunId);
  if (uiUrl !== null) say(`in the Temporal UI: ${uiUrl}`);
  const outcome = await outcomeOf(
    handle,
    followNight(handle, { stream: process.stderr, lost: local.lost }),
  );
  const found = { ...outcome, database_url: describeDatabase(local.databaseUrl), ui_url: uiUrl };
  if (given.json === true) process.stdout.write(`${JSON.stringify(found)}\n`);
  else await showNight(found, local.databaseUrl);
  if (outcome.status !== 'success') process.exitCode = 1;
}

await run(command);

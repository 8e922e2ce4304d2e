/** PostgreSQL, the Temporal server with its UI, and a worker, until Ctrl-C. */

import { describeDatabase } from '../database/connect.ts';
import { createCommand, options, run } from './support/cli.ts';
import { startLocalStack } from './support/local-stack.ts';
import { print } from './support/night.ts';
import { untilStopped } from './support/until-stopped.ts';

const command = createCommand(
  'stack',
  'Bring up what the environment does not name: PostgreSQL, Temporal with its UI, and a worker; until Ctrl-C.',
  ['npm run stack', 'npm run --silent stack -- --json'],
)
  .addOption(options.json())
  .action(async ({ json }: { json?: boolean }) => {
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    const stopped = untilStopped();
    const starting = startLocalStack(say);
    const local = await stopped.or(starting).catch(async (error: unknown) => {
      await starting.then((late) => late.stop()).catch(() => undefined);
      throw error;
    });
    try {
      const found = {
        database_url: describeDatabase(local.databaseUrl),
        temporal_address: local.temporalAddress,
        ui_url: local.uiUrl,
        logs: local.logDirectory,
        attached: local.attached,
      };
      if (json === true) print(found);
      else {
        say(`database: ${found.database_url}`);
        say(`Temporal: ${found.temporal_address ?? ''}`);
        say(`Temporal UI: ${found.ui_url ?? 'not ours'}`);
        say(`logs: ${found.logs}`);
      }
      if (local.attached) return;
      say('Ctrl-C ends them');
      await Promise.race([stopped.promise, local.lost]);
    } finally {
      await local.stop();
    }
  });

await run(command);

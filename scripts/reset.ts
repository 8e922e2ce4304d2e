/** Deletes the local stack's state, after asking. */

import { createInterface } from 'node:readline/promises';
import { UsageError } from '../config/settings.ts';
import { removeState } from '../stack/index.ts';
import { createCommand, options, run } from './support/cli.ts';
import { print } from './support/night.ts';

await run(
  createCommand('reset', 'Delete the state of the local stack: databases, workflow histories, logs.', [
    'npm run reset',
    'npm run reset -- --yes',
  ])
    .option('--yes', 'do not ask')
    .addOption(options.json())
    .action(async ({ yes, json }: { yes?: boolean; json?: boolean }) => {
      if (yes !== true && !(await confirmed())) {
        console.error('nothing was deleted');
        process.exitCode = 1;
        return;
      }
      const removed = await removeState((line) => console.error(line));
      if (json === true) return print({ removed });
      console.log(removed.length === 0 ? 'there was nothing to delete' : `deleted ${removed.join(', ')}`);
    }),
);

async function confirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UsageError('--yes: expected, because there is no terminal to ask on');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(
      'delete the local databases, workflow histories and logs? type yes: ',
    );
    return answer.trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}

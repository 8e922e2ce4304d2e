/** Brings the database to the newest migration. */

import { migrateToLatest } from '../database/migrate.ts';
import { createCommand, options, run } from './support/cli.ts';
import { withAnyDatabase } from './support/database.ts';
import { print } from './support/night.ts';

await run(
  createCommand('migrate', 'Bring the database to the newest migration; safe to run at any time.', [
    'npm run migrate',
    'DATABASE_URL=postgresql://… npm run migrate',
  ])
    .addOption(options.json())
    .action(({ json }: { json?: boolean }) =>
      withAnyDatabase(async ({ db }) => {
        const applied = await migrateToLatest(db);
        if (json === true) return print({ applied });
        console.log(applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`);
      }),
    ),
);

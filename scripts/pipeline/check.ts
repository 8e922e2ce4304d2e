import { resolveSettings } from '../../config/settings.ts';
import { TASK_QUEUES } from '../../workflows/contracts.ts';
import type { checkSource } from '../../workflows/index.ts';
import { createCommand, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId } from '../support/database.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';

type CheckReport = Awaited<ReturnType<typeof checkSource>>[number];

interface CheckOptions {
  asOf?: string;
  profile: string;
  set: string[];
  json?: boolean;
}

export const checkCommand = createCommand(
  'check',
  'Ask now every check that needs the source alone, and show what the last night said to the others; writes nothing.',
  [
    'npm run pipeline -- check --profile small',
    'npm run pipeline -- check --set quality.thresholds.volume_change.error=0.5',
  ],
)
  .addOption(options.asOf())
  .addOption(options.profile('production'))
  .addOption(options.set())
  .addOption(options.json())
  .action(async ({ asOf, profile, set, json }: CheckOptions) => {
    resolveSettings(profile, set);
    const { servers, temporal } = await connectServers();
    const database = await readDatabaseId(servers.databaseUrl);
    try {
      const reports = await temporal.client.workflow.execute<typeof checkSource>('checkSource', {
        workflowId: `check-${new Date().toISOString()}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ asOf, profile, overrides: set, database }],
        workflowExecutionTimeout: '30m',
      });
      if (json === true) print(reports);
      else console.log(checkTable(reports));
      // What an earlier night has said is no verdict on what is there now.
      if (reports.some(({ status, run }) => status === 'failed' && run === null)) process.exitCode = 1;
    } finally {
      await temporal.close();
    }
  });

/** Every check, a line each, and below it the first offending rows. */
function checkTable(reports: CheckReport[]): string {
  return table(
    ['status', 'asked', 'gate', 'observed', 'warn', 'error', 'check'],
    reports.map((one) => [
      one.status,
      one.run === null ? (one.status === 'later' ? '' : 'now') : `run ${one.run}`,
      one.scope,
      figure(one.observed),
      figure(one.warn),
      figure(one.error),
      [one.message, ...one.sample.map((row) => JSON.stringify(row))].join('\n'),
    ]),
  );
}

function figure(value: number | null): string {
  return value === null ? '' : Number(value.toPrecision(4)).toLocaleString('en');
}

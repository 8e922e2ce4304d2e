import { UsageError } from '../../config/settings.ts';
import { lastAlerts } from '../../database/readers.ts';
import { TASK_QUEUES } from '../../workflows/contracts.ts';
import type { testAlert } from '../../workflows/index.ts';
import { TEST_ALERT_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId, withDatabase } from '../support/database.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';

type FoundAlert = Awaited<ReturnType<typeof lastAlerts>>[number];

function deliveriesOf({ deliveries, taken_by }: FoundAlert): string {
  if (taken_by === null) return 'waits';
  if (deliveries.length === 0) return 'nowhere';
  return deliveries
    .map(({ channel, state, attempts, last_error }) =>
      state === 'delivered'
        ? `${channel}: delivered`
        : `${channel}: ${state} after ${attempts} attempts${last_error === null ? '' : `, ${last_error}`}`,
    )
    .join('\n');
}

export const alertsCommand = createCommand(
  'alerts',
  'Show the last alerts and whether they were delivered.',
  ['npm run pipeline -- alerts --limit 3'],
)
  .option('--limit <alerts>', 'how many', integer(1, 1000), 10)
  .addOption(options.json())
  .action(({ limit, json }: { limit: number; json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const alerts = await lastAlerts(db, limit);
      if (json === true) return print(alerts);
      if (alerts.length === 0) return console.log('no alerts');
      console.log(
        table(
          ['alert', 'raised', 'kind', 'run', 'message', 'delivery'],
          alerts.map((alert) => [
            alert.alert_id,
            alert.raised_at.toISOString(),
            alert.kind,
            alert.run,
            alert.message,
            deliveriesOf(alert),
          ]),
        ),
      );
    }),
  );

export const alertTestCommand = createCommand(
  'alert-test',
  'Send one alert by every channel that the worker has configured, and say whether it arrived.',
  ['npm run pipeline -- alert-test'],
)
  .addOption(options.json())
  .action(async ({ json }: { json?: boolean }) => {
    const { servers, temporal } = await connectServers();
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const { deliveries } = await temporal.client.workflow.execute<typeof testAlert>('testAlert', {
        workflowId: `alert-test-${new Date().toISOString()}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ database }],
        workflowExecutionTimeout: TEST_ALERT_EXECUTION_TIMEOUT,
        staticSummary: 'test of the alert channels',
      });
      if (deliveries.length === 0) {
        throw new UsageError(
          'the worker has no channel configured: set NIGHTJAR_ALERT_WEBHOOK_URL, or NIGHTJAR_SMTP_URL with NIGHTJAR_ALERT_EMAIL_TO and NIGHTJAR_ALERT_EMAIL_FROM, where it starts',
        );
      }
      if (json === true) print(deliveries);
      for (const { channel, delivery, error } of json === true ? [] : deliveries)
        console.log(`${channel}: ${delivery}${error === null ? '' : `, ${error}`}`);
      if (deliveries.some(({ delivery }) => delivery !== 'delivered')) process.exitCode = 1;
    } finally {
      await temporal.close();
    }
  });

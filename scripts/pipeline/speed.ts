import { UsageError, resolveSettings } from '../../config/settings.ts';
import { type SpeedResult, TASK_QUEUES } from '../../workflows/contracts.ts';
import type { speedLayer } from '../../workflows/index.ts';
import { SPEED_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { createCommand, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId, withConnection } from '../support/database.ts';
import { followNight } from '../support/follow.ts';
import { print } from '../support/night.ts';
import { runUrl } from '../support/show-night.ts';
import { untilStopped } from '../support/until-stopped.ts';

interface SpeedOptions {
  profile?: string;
  set: string[];
  wait: boolean;
  json?: boolean;
}

/** @throws UsageError where no night is published that a pass could go by */
async function assertPublished(url: string): Promise<void> {
  const pointer = await withConnection(url, ({ db }) =>
    db.selectFrom('serving.pointer').select('data_run').executeTakeFirst(),
  );
  if (pointer === undefined)
    throw new UsageError('nothing is published yet: the speed layer begins after the first night that is');
}

export const speedCommand = createCommand(
  'speed',
  'Show readers what has come into the source since the last night: trending, statistics, lists of who has rated.',
  [
    'npm run pipeline -- speed',
    'npm run pipeline -- speed --set trending.windowDays=7 --json',
    'npm run pipeline -- speed --no-wait',
  ],
)
  .option('--profile <name>', 'named set of defaults; by default the settings of the nights that are served')
  .addOption(options.set())
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async ({ profile, set, wait, json = false }: SpeedOptions) => {
    resolveSettings(profile ?? 'production', set);
    const { servers, temporal } = await connectServers();
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      await assertPublished(servers.databaseUrl);
      const handle = await temporal.client.workflow.start<typeof speedLayer>('speedLayer', {
        workflowId: `speed-${new Date().toISOString()}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ profile, overrides: set, database }],
        workflowExecutionTimeout: SPEED_EXECUTION_TIMEOUT,
        staticSummary: 'speed layer',
      });
      const ui_url = runUrl(servers, handle.workflowId, handle.firstExecutionRunId);
      if (!wait) {
        if (json) print({ workflow_id: handle.workflowId, status: 'running', ui_url });
        else console.log(`started ${handle.workflowId}; npm run trending shows what it comes to`);
        return;
      }
      const found = await untilStopped().or(
        followNight<SpeedResult>(handle, { stream: process.stderr }),
        'detached; the pass goes on: npm run trending',
      );
      if (json) print({ ...found, ui_url });
      else console.log(found.pass === null ? found.note : `pass ${found.pass}: ${found.note}`);
      if (found.pass === null) process.exitCode = 1;
    } finally {
      await temporal.close();
    }
  });

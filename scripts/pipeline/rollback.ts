import { UsageError } from '../../config/settings.ts';
import { liveRun } from '../../database/readers.ts';
import { findTarget } from '../../database/served-versions.ts';
import { type RollbackResult, TASK_QUEUES } from '../../workflows/contracts.ts';
import type { rollbackModel } from '../../workflows/index.ts';
import { ROLLBACK_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { decisionOptions } from '../support/actor.ts';
import { createCommand, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId, withConnection } from '../support/database.ts';
import { followNight } from '../support/follow.ts';
import { print } from '../support/night.ts';
import { runUrl } from '../support/show-night.ts';
import { untilStopped } from '../support/until-stopped.ts';

interface RollbackOptions {
  to?: string;
  reason: string;
  actor: string;
  wait: boolean;
  json?: boolean;
}

/** @throws UsageError where there is no such way back */
function look(url: string, to: string | undefined) {
  return withConnection(url, async ({ db }) => {
    const found = await findTarget(db, to);
    if ('refusal' in found) throw new UsageError(found.refusal);
    return { ...found, live: await liveRun(db) };
  });
}

function show(moved: RollbackResult, live: { run: number } | undefined): void {
  console.log(
    moved.changed
      ? `served: ${moved.model_version} (run ${moved.run}) instead of ${moved.previous_model_version}`
      : moved.note,
  );
  console.log(`champion: ${moved.champion}; the next night trains it again and publishes over this version`);
  if (live !== undefined)
    console.log(
      `run ${live.run} is live and may publish at its end: npm run pipeline -- cancel keeps it from that`,
    );
  if (moved.changed) console.log('to keep this version: npm run schedule -- pause --note …');
}

export const rollbackCommand = createCommand(
  'rollback',
  'Show readers a kept version again: lists, neighbours and factors at once.',
  [
    'npm run pipeline -- rollback --reason "lists full of trailers"',
    'npm run pipeline -- rollback --to 41 --reason "run 42 was trained on half the ratings"',
    'npm run pipeline -- rollback --to als-rank10-run41 --reason … --json',
  ],
)
  .option('--to <version>', 'a kept version, by its run or its name; the one served before by default')
  .addOption(decisionOptions.reason().makeOptionMandatory())
  .addOption(decisionOptions.actor())
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async ({ to, reason, actor, wait, json = false }: RollbackOptions) => {
    const { servers, temporal } = await connectServers();
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const { target, served, live } = await look(servers.databaseUrl, to);
      const handle = await temporal.client.workflow.start<typeof rollbackModel>('rollbackModel', {
        workflowId: `rollback-${new Date().toISOString()}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ to: String(target.run), from: served.run, reason, actor, database }],
        workflowExecutionTimeout: ROLLBACK_EXECUTION_TIMEOUT,
        staticSummary: `rollback to ${target.model_version}`,
        staticDetails: `${reason} (${actor})`,
      });
      const ui_url = runUrl(servers, handle.workflowId, handle.firstExecutionRunId);
      if (!wait) {
        const started = { workflow_id: handle.workflowId, run: target.run, status: 'running', ui_url };
        if (json) print(started);
        else console.log(`started ${handle.workflowId}; npm run pipeline -- versions tells what is served`);
        return;
      }
      const moved = await untilStopped().or(
        followNight<RollbackResult>(handle, { stream: process.stderr }),
        'detached; the rollback goes on: npm run pipeline -- versions',
      );
      if (json) print({ ...moved, live_run: live?.run ?? null, ui_url });
      else show(moved, live);
    } finally {
      await temporal.close();
    }
  });

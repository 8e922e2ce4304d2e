/** Ad-hoc workflows, and what the pipeline knows about its runs. */

import { UsageError, resolveSettings } from '../config/settings.ts';
import { digestRun } from '../database/digest.ts';
import { connect } from '../database/connect.ts';
import { lastRuns, liveRun, undeliveredAlerts } from '../database/readers.ts';
import type { NightlyResult } from '../workflows/contracts.ts';
import { alertTestCommand, alertsCommand } from './pipeline/alerts.ts';
import { checkCommand } from './pipeline/check.ts';
import { abTestCommand } from './pipeline/ab-test.ts';
import { approve, reject } from './pipeline/decide.ts';
import { blockCommand, blockedCommand, unblockCommand } from './pipeline/block-list.ts';
import { compareCommand } from './pipeline/compare.ts';
import { gridSearchCommand } from './pipeline/grid-search.ts';
import { planCommand } from './pipeline/plan.ts';
import { rerunCommand } from './pipeline/rerun.ts';
import { rollbackCommand } from './pipeline/rollback.ts';
import { speedCommand } from './pipeline/speed.ts';
import { versionsCommand } from './pipeline/versions.ts';
import { withCandidate } from './support/candidate.ts';
import { createCommand, integer, options, run, withFull } from './support/cli.ts';
import { connectServers } from './support/connect-servers.ts';
import { withDatabase } from './support/database.ts';
import { print, runNight } from './support/night.ts';
import { outcomeOf } from './support/start-night.ts';
import { metric, table } from './support/table.ts';
import { untilStopped } from './support/until-stopped.ts';

interface NightOptions {
  asOf?: string;
  profile: string;
  set: string[];
  wait: boolean;
  json?: boolean;
  full?: boolean;
}

const nightly = createCommand('nightly', 'Start a night on the servers that run, and follow it.', [
  'npm run pipeline -- nightly --profile small',
  'npm run pipeline -- nightly --as-of 2026-11-24T02:00:00Z --no-wait',
  'npm run pipeline -- nightly --full',
  'npm run pipeline -- nightly --candidate 3',
])
  .addOption(options.asOf())
  .addOption(options.profile('production'))
  .addOption(options.set())
  .addOption(options.full())
  .option('--candidate <search>', 'the best point of this grid search joins the challengers', integer(1))
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async (given: NightOptions & { candidate?: number }) => {
    const { profile, candidate } = given;
    const set = withFull(given);
    resolveSettings(profile, set);
    const { servers, temporal } = await connectServers();
    try {
      const overrides =
        candidate === undefined
          ? set
          : await withCandidate(servers.databaseUrl, candidate, { profile, overrides: set });
      const request = { asOf: given.asOf ?? new Date().toISOString(), profile, overrides };
      await untilStopped().or(
        runNight({ servers, temporal, request, json: given.json ?? false, wait: given.wait }),
        `detached; the night for ${request.asOf} goes on: npm run pipeline -- status`,
      );
    } finally {
      await temporal.close();
    }
  });

const status = createCommand('status', 'Show the last runs.', ['npm run pipeline -- status --limit 3'])
  .option('--limit <runs>', 'how many', integer(1, 1000), 10)
  .addOption(options.json())
  .action(({ limit, json }: { limit: number; json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const runs = await lastRuns(db, limit);
      if (json === true) return print(runs);
      console.log(
        table(
          ['run', 'as-of', 'status', 'version', 'RMSE', 'P@10', 's', 'reason'],
          runs.map((row) => [
            row.run,
            row.as_of.toISOString(),
            row.status,
            row.published === true ? row.model_version : '',
            metric(row.rmse),
            metric(row.precision_at_10),
            row.duration_seconds?.toFixed(1),
            `${row.reason ?? `live as ${row.workflow_id}`}${toldOf(row.reopenings)}`,
          ]),
        ),
      );
      const undelivered = await undeliveredAlerts(db);
      if (undelivered > 0)
        console.log(`alerts that have not arrived: ${undelivered}; npm run pipeline -- alerts`);
    }),
  );

/** That a run was re-opened: how often, and the last time from which stage, by whom and when. */
function toldOf(reopenings: { from_stage: string; actor: string; reopened_at: Date | string }[]): string {
  const last = reopenings.at(0);
  if (last === undefined) return '';
  const times = reopenings.length === 1 ? '' : ` ${reopenings.length} times, last`;
  return `; rerun${times} from ${last.from_stage} by ${last.actor} at ${new Date(last.reopened_at).toISOString()}`;
}

const digest = createCommand(
  'digest',
  'Digests of every output table of a run, free of clocks and ids: equal runs have equal digests.',
  ['npm run pipeline -- digest', 'npm run pipeline -- digest --run 7 --json'],
)
  .option('--run <number>', 'which run; the last one by default', integer(1))
  .addOption(options.json())
  .action((given: { run?: number; json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const known = await lastRuns(db, Number.MAX_SAFE_INTEGER);
      const chosen = given.run ?? known.at(0)?.run;
      if (chosen === undefined || !known.some((row) => row.run === chosen)) {
        throw new UsageError(
          given.run === undefined ? 'there is no run yet' : `--run ${given.run}: there is no such run`,
        );
      }
      const found = await digestRun(db, chosen);
      if (given.json === true) return print(found);
      console.log(
        table(
          ['table', 'rows', 'digest'],
          Object.entries(found.tables).map(([name, { rows, digest: sum }]) => [name, rows, sum]),
        ),
      );
      console.log(`run ${found.run}: ${found.digest}`);
    }),
  );

const cancel = createCommand('cancel', 'Cancel the night that is live; what is served stays.', [
  'npm run pipeline -- cancel',
  'npm run pipeline -- cancel --no-wait',
])
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async ({ wait, json }: { wait: boolean; json?: boolean }) => {
    const { servers, temporal } = await connectServers();
    const connection = connect({ url: servers.databaseUrl, applicationName: 'nightjar-script', max: 1 });
    try {
      const live = await liveRun(connection.db);
      if (live === undefined) throw new UsageError('no night is live: there is nothing to cancel');
      const handle = temporal.client.workflow.getHandle(live.workflow_id);
      await handle.cancel();
      if (wait) {
        const outcome = await outcomeOf(handle, handle.result() as Promise<NightlyResult>);
        if (json === true) print(outcome);
        else console.log(`run ${outcome.run} is ${outcome.status}: ${outcome.reason}`);
      } else if (json === true) print({ run: live.run, workflow_id: live.workflow_id });
      else console.log(`run ${live.run} is asked to stop: npm run pipeline -- status`);
    } finally {
      await connection.close();
      await temporal.close();
    }
  });

await run(
  createCommand('pipeline', 'Ad-hoc workflows, and what the pipeline knows about its runs.')
    .addCommand(nightly)
    .addCommand(rerunCommand)
    .addCommand(gridSearchCommand)
    .addCommand(abTestCommand)
    .addCommand(planCommand)
    .addCommand(checkCommand)
    .addCommand(cancel)
    .addCommand(approve)
    .addCommand(reject)
    .addCommand(status)
    .addCommand(alertsCommand)
    .addCommand(alertTestCommand)
    .addCommand(compareCommand)
    .addCommand(versionsCommand)
    .addCommand(rollbackCommand)
    .addCommand(speedCommand)
    .addCommand(blockCommand)
    .addCommand(unblockCommand)
    .addCommand(blockedCommand)
    .addCommand(digest),
);

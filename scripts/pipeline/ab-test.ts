import { createHash } from 'node:crypto';
import { WorkflowIdConflictPolicy } from '@temporalio/client';
import { Option } from 'commander';
import { type AbTestInput, type Arm, checkAbTest, parseArm } from '../../config/ab-test.ts';
import { codeVersion } from '../../config/code-version.ts';
import { METRIC_NAMES, type Metric } from '../../config/metrics.ts';
import { UsageError } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import {
  abTest as storedTest,
  abTestArms,
  chooseSnapshot,
  keptSnapshots,
} from '../../database/experiments.ts';
import { type AbTestResult, TASK_QUEUES, abTestWorkflowId } from '../../workflows/contracts.ts';
import type { abTest } from '../../workflows/index.ts';
import { AB_TEST_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { createCommand, integer, list, options } from '../support/cli.ts';
import { type ConnectedServers, connectServers } from '../support/connect-servers.ts';
import { readDatabaseId } from '../support/database.ts';
import { followNight } from '../support/follow.ts';
import { print } from '../support/night.ts';
import { runUrl } from '../support/show-night.ts';
import { metric, table } from '../support/table.ts';
import { untilStopped } from '../support/until-stopped.ts';

interface AbTestOptions {
  arm: Arm[];
  metric: Metric;
  salt?: string;
  seeds?: number[];
  run?: number;
  wait: boolean;
  json?: boolean;
}

/** The same for what is asked for again, on the same snapshot by the same code: one test. */
function workflowIdOf({ arms, metric, salt, seeds }: AbTestInput, run: number): string {
  const version = codeVersion(process.env.NIGHTJAR_CODE_VERSION);
  const digest = createHash('sha256')
    .update(JSON.stringify([arms, metric, salt ?? null, seeds ?? [], version]))
    .digest('hex');
  return abTestWorkflowId(run, digest.slice(0, 12));
}

/** The run whose snapshot is meant. One that is not kept serves where the test was made, to show it again. */
async function findRun(url: string, wanted: number | undefined, test: AbTestInput): Promise<number> {
  const connection = connect({ url, applicationName: 'nightjar-script', max: 1 });
  try {
    const kept = await keptSnapshots(connection.db);
    const chosen = chooseSnapshot(kept, wanted);
    if (chosen?.status === 'running')
      throw new UsageError(`--run ${chosen.run}: that run is live; wait for its end, or name another`);
    if (chosen !== undefined) return chosen.run;
    const there = kept.length === 0 ? 'none is' : `kept are ${kept.map(({ run }) => run).join(', ')}`;
    if (wanted === undefined) {
      throw new UsageError(
        `--run: no run that came to its end has a snapshot that is kept (${there}); start a night first, or name a run`,
      );
    }
    if ((await storedTest(connection.db, workflowIdOf(test, wanted))) === undefined)
      throw new UsageError(`--run ${wanted}: the snapshot of that run is not kept; ${there}`);
    return wanted;
  } finally {
    await connection.close();
  }
}

/** Starts the test, or takes hold of the one that runs; one that was made gives its stored figures. */
function startTest({ temporal }: ConnectedServers, test: AbTestInput, run: number, database: string) {
  return temporal.client.workflow.start<typeof abTest>('abTest', {
    workflowId: workflowIdOf(test, run),
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    taskQueue: TASK_QUEUES.pipeline,
    args: [{ adHoc: true, ...test, run, database }],
    workflowExecutionTimeout: AB_TEST_EXECUTION_TIMEOUT,
    staticSummary: `A/B test of ${test.arms.length} arms on run ${run}, by ${test.metric}`,
  });
}

async function showTest(
  found: AbTestResult,
  { url, uiUrl, json }: { url: string; uiUrl: string | null; json: boolean },
): Promise<void> {
  const connection = connect({ url, applicationName: 'nightjar-script', max: 1 });
  const arms = await abTestArms(connection.db, found.test).finally(() => connection.close());
  const { test, run, winner, decided, sampleRatioP, note: decision } = found;
  if (json) {
    return print({
      test,
      run,
      metric: found.metric,
      winner,
      decided,
      decision,
      sample_ratio_p: sampleRatioP,
      arms,
      ui_url: uiUrl,
    });
  }
  const seeded = arms.some(({ seed_deviation }) => seed_deviation !== null);
  const head = [
    '',
    'arm',
    found.metric,
    'group',
    'users',
    'in it',
    'first − arm',
    '95% interval',
    'p (Holm)',
  ];
  console.log(
    table(
      [...head, ...(seeded ? ['seeds ±', 'difference ±'] : [])],
      arms.map((arm) => [
        arm.is_winner ? '→' : '',
        arm.name,
        metric(arm.value),
        arm.ab_group,
        arm.group_users.toLocaleString('en'),
        metric(arm.group_value),
        ...(arm.difference === null
          ? ['', '', '']
          : [
              metric(arm.difference),
              `[${metric(arm.interval_low)}, ${metric(arm.interval_high)}]`,
              arm.p_adjusted?.toPrecision(2),
            ]),
        ...(seeded ? [arm.seed_deviation, arm.difference_seed_deviation].map(deviation) : []),
      ]),
    ),
  );
  console.log(`A/B test on run ${run}, by ${found.metric}; groups p ${sampleRatioP.toPrecision(2)}`);
  console.log(decision);
}

const deviation = (value: number | null): string => (value === null ? '' : metric(value));

export const abTestCommand = createCommand(
  'ab-test',
  'Compare configurations on the snapshot of a run: the same users, the same holdout.',
  [
    `npm run pipeline -- ab-test --arm 'als rank=10' --arm 'als rank=50'`,
    `npm run pipeline -- ab-test --arm 'als rank=10' --arm 'als-biased rank=10 reg=0.05' --seeds 1,2,3`,
    `npm run pipeline -- ab-test --arm popular --arm 'als-implicit alpha=40' --metric ndcg@10 --salt autumn`,
  ],
)
  .addOption(
    new Option(
      '--arm <words>',
      'family, and rank=20 iterations=10 reg=0.1 alpha=1 seed=42 where others are meant; two to four times, the first is what the others are compared with',
    )
      .argParser((text: string, before: Arm[]) => [...before, parseArm(text)])
      .default([] as Arm[], 'none'),
  )
  .addOption(new Option('--metric <name>', 'what decides').choices(METRIC_NAMES).default('rmse'))
  .option('--salt <text>', 'of the hash that gives users their group; none as at night')
  .option('--seeds <list>', 'each arm is trained with each of them', list(integer(0, 2_147_483_647)))
  .option('--run <number>', 'whose snapshot; by default the newest run that came to its end', integer(1))
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async ({ arm: arms, salt, seeds, ...given }: AbTestOptions) => {
    const test = checkAbTest({ arms, metric: given.metric, salt, seeds });
    const json = given.json ?? false;
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    const connected = await connectServers();
    const { servers, temporal } = connected;
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const run = await findRun(servers.databaseUrl, given.run, test);
      const handle = await startTest(connected, test, run, database);
      const uiUrl = runUrl(servers, handle.workflowId, handle.firstExecutionRunId);
      if (!given.wait) {
        if (json) print({ workflow_id: handle.workflowId, run, status: 'running', ui_url: uiUrl });
        else say(`started ${handle.workflowId}; the same command with --run ${run}, waiting, shows it`);
        return;
      }
      if (uiUrl !== null) say(`in the Temporal UI: ${uiUrl}`);
      const found = await untilStopped().or(
        followNight<AbTestResult>(handle, { stream: process.stderr }),
        `detached; the test goes on, and the same command with --run ${run} follows it again`,
      );
      await showTest(found, { url: servers.databaseUrl, uiUrl, json });
    } finally {
      await temporal.close();
    }
  });

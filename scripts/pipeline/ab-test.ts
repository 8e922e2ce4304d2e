import { WorkflowIdConflictPolicy } from '@temporalio/client';
import { Option } from 'commander';
import { type AbTestInput, type Arm, checkAbTest, parseArm } from '../../config/ab-test.ts';
import { METRIC_NAMES, type Metric } from '../../config/metrics.ts';
import { UsageError } from '../../config/settings.ts';
import { abTest as storedTest, abTestArms } from '../../database/experiments.ts';
import { type AbTestResult, TASK_QUEUES, abTestWorkflowId } from '../../workflows/contracts.ts';
import type { abTest } from '../../workflows/index.ts';
import { AB_TEST_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { createCommand, integer, list, options } from '../support/cli.ts';
import { type ConnectedServers, connectServers } from '../support/connect-servers.ts';
import { readDatabaseId, withConnection } from '../support/database.ts';
import { type Experiment, askedFor, findSnapshotRun, followExperiment } from '../support/experiment.ts';
import { print } from '../support/night.ts';
import { metric, table } from '../support/table.ts';

interface AbTestOptions {
  arm: Arm[];
  metric: Metric;
  salt?: string;
  seeds?: number[];
  run?: number;
  wait: boolean;
  json?: boolean;
}

function workflowIdOf({ arms, metric, salt, seeds }: AbTestInput, run: number): string {
  return abTestWorkflowId(run, askedFor([arms, metric, salt ?? null, seeds ?? []]));
}

async function findRun(url: string, wanted: number | undefined, test: AbTestInput): Promise<number> {
  const found = await findSnapshotRun(url, wanted, (db, run) => storedTest(db, workflowIdOf(test, run)));
  if ('status' in found && found.status === 'running')
    throw new UsageError(`--run ${found.run}: that run is live; wait for its end, or name another`);
  return found.run;
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
  const arms = await withConnection(url, ({ db }) => abTestArms(db, found.test));
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
    const connected = await connectServers();
    const { servers, temporal } = connected;
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const run = await findRun(servers.databaseUrl, given.run, test);
      const handle = await startTest(connected, test, run, database);
      await followExperiment(
        // Asked for ad hoc, it comes to what is asked for so.
        handle as Experiment<AbTestResult>,
        { noun: 'test', run, servers, wait: given.wait, json },
        (found, uiUrl) => showTest(found, { url: servers.databaseUrl, uiUrl, json }),
      );
    } finally {
      await temporal.close();
    }
  });

import { resolveSettings } from '../../config/settings.ts';
import { type NightPlan, TASK_QUEUES } from '../../workflows/contracts.ts';
import type { planNight } from '../../workflows/index.ts';
import { createCommand, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId } from '../support/database.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';

interface PlanOptions {
  asOf?: string;
  profile: string;
  set: string[];
  json?: boolean;
}

const count = (value: number | null): string => value?.toLocaleString('en') ?? 'unknown';
const runs = (numbers: number[]): string => (numbers.length === 0 ? 'none' : `runs ${numbers.join(', ')}`);

function show({ as_of, profile, start, source, gates, train, decide, publish, forget }: NightPlan): void {
  const later = source.after_as_of
    ? `, ${count(source.after_as_of)} of them after the as-of and set aside`
    : '';
  const { selection, alarm } = decide;
  console.log(
    table(
      ['', `night of ${as_of}, profile ${profile}`],
      [
        ['start', `${start.what}: ${start.why}`],
        [
          'read',
          source.problem ??
            `${count(source.ratings)} ratings${later}, ${count(source.movies)} movies; newest ${source.newest_rating_at ?? 'none'}`,
        ],
        ['train', [train.baseline, ...train.challengers].join('\n')],
        ['champion', train.champion ?? 'none yet: the best challenger becomes it'],
        ['decide', `by ${selection.metric}; ${JSON.stringify({ selection, alarm })}`],
        [
          'publish',
          `${publish.may ? 'unless a gate or the decision keeps it' : 'no'}: ${publish.why}; served is ${publish.served ?? 'nothing'}`,
        ],
        ['block', `${count(publish.blocked_movies)} movies stand in no list`],
        [
          'delete',
          [
            `versions of ${runs(forget.retired_versions)}; kept beside tonight's: ${runs(forget.kept_versions)}`,
            `snapshots of ${runs(forget.snapshots)}`,
            `metrics by user of ${runs(forget.user_metrics)}`,
            `experiments of ${runs(forget.experiments)}`,
            `grid searches and A/B tests that were given up: ${count(forget.abandoned)}`,
          ].join('\n'),
        ],
      ],
    ),
  );
  console.log(
    table(
      ['gate', 'check', 'severity', 'expected'],
      gates.flatMap(({ scope, checks }) =>
        checks.map(({ check, severity, expected }, at) => [at === 0 ? scope : '', check, severity, expected]),
      ),
    ),
  );
}

export const planCommand = createCommand(
  'plan',
  'Show what a night that started now would read, check, train, publish and delete; writes nothing.',
  [
    'npm run pipeline -- plan',
    'npm run pipeline -- plan --as-of 2026-11-24T02:00:00Z --profile small --json',
    'npm run pipeline -- plan --set publishing.keepVersions=1',
  ],
)
  .addOption(options.asOf())
  .addOption(options.profile('production'))
  .addOption(options.set())
  .addOption(options.json())
  .action(async ({ asOf, profile, set, json = false }: PlanOptions) => {
    resolveSettings(profile, set);
    const { servers, temporal } = await connectServers();
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const plan = await temporal.client.workflow.execute<typeof planNight>('planNight', {
        workflowId: `plan-${new Date().toISOString()}`,
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ asOf, profile, overrides: set, database }],
        workflowExecutionTimeout: '30m',
      });
      if (json) print(plan);
      else show(plan);
    } finally {
      await temporal.close();
    }
  });

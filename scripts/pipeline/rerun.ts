import { InvalidArgumentError } from 'commander';
import { NIGHT_STAGES, type NightStage, findStage } from '../../config/stages.ts';
import { TASK_QUEUES, rerunWorkflowId } from '../../workflows/contracts.ts';
import type { rerunNight } from '../../workflows/index.ts';
import { searchAttributes } from '../../workflows/search-attributes.ts';
import { NIGHT_EXECUTION_TIMEOUT } from '../../workflows/timeouts.ts';
import { decisionOptions } from '../support/actor.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { readDatabaseId } from '../support/database.ts';
import { seeNight } from '../support/night.ts';
import { untilStopped } from '../support/until-stopped.ts';

interface RerunOptions {
  run: number;
  from: NightStage;
  actor: string;
  wait: boolean;
  json?: boolean;
}

function parseStage(text: string): NightStage {
  const stage = findStage(text);
  if (stage === undefined) throw new InvalidArgumentError(`expected one of ${NIGHT_STAGES.join(', ')}`);
  return stage;
}

export const rerunCommand = createCommand(
  'rerun',
  'Go on with a run that ended without success: from a stage on, with the stored results of the stages before.',
  [
    'npm run pipeline -- rerun --run 41 --from publish',
    'npm run pipeline -- rerun --run 41 --from "silver gate" --no-wait',
    'npm run pipeline -- rerun --run 41 --from bronze --json',
  ],
)
  .requiredOption(
    '--run <number>',
    'which run; the newest one, which failed, was blocked or cancelled',
    integer(1),
  )
  .requiredOption(
    '--from <stage>',
    `the first stage that is done anew: ${NIGHT_STAGES.join(', ')}`,
    parseStage,
  )
  .addOption(decisionOptions.actor())
  .addOption(options.wait())
  .addOption(options.noWait())
  .addOption(options.json())
  .action(async ({ run, from, actor, wait, json = false }: RerunOptions) => {
    const { servers, temporal } = await connectServers();
    try {
      const database = await readDatabaseId(servers.databaseUrl);
      const handle = await temporal.client.workflow.start<typeof rerunNight>('rerunNight', {
        workflowId: rerunWorkflowId(run, new Date().toISOString()),
        taskQueue: TASK_QUEUES.pipeline,
        args: [{ run, from, actor, database }],
        workflowExecutionTimeout: NIGHT_EXECUTION_TIMEOUT,
        staticSummary: `rerun of run ${run} from ${from}`,
        staticDetails: `asked for by ${actor}`,
        typedSearchAttributes: [{ key: searchAttributes.run, value: run }],
      });
      await untilStopped().or(
        seeNight(handle, { servers, json, wait, known: { run } }),
        `detached; the rerun of run ${run} goes on: npm run pipeline -- status`,
      );
    } finally {
      await temporal.close();
    }
  });

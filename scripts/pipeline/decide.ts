/** An operator's word on a night that asks for it. */

import { userInfo } from 'node:os';
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { UsageError } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import { liveRun, runById } from '../../database/readers.ts';
import { APPROVE_UPDATE, type OperatorsWord, REJECT_UPDATE } from '../../workflows/contracts.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { connectServers } from '../support/connect-servers.ts';
import { print } from '../support/night.ts';

interface DecideOptions {
  run?: number;
  reason: string;
  actor: string;
  json?: boolean;
}

const createDecision = (name: string, update: string, summary: string, example: string) =>
  createCommand(name, summary, [example])
    .requiredOption('--reason <text>', 'why, for the history of decisions')
    .option('--run <number>', 'which run; the live one by default', integer(1))
    .option('--actor <name>', 'who decides', userInfo().username)
    .addOption(options.json())
    .action((given: DecideOptions) => decide(update, given));

async function decide(update: string, { run, reason, actor, json }: DecideOptions): Promise<void> {
  for (const [name, text] of Object.entries({ reason, actor }))
    if (text.trim() === '') throw new UsageError(`--${name}: expected who decides and why, in words`);
  const { servers, temporal } = await connectServers();
  const connection = connect({ url: servers.databaseUrl, applicationName: 'nightjar-script', max: 1 });
  try {
    const chosen = run === undefined ? await liveRun(connection.db) : await runById(connection.db, run);
    if (chosen === undefined)
      throw new UsageError(
        run === undefined
          ? 'no night is live: nothing is to be decided'
          : `--run ${run}: there is no such run`,
      );
    const handle = temporal.client.workflow.getHandle(chosen.workflow_id);
    const said = await handle
      .executeUpdate<string, [OperatorsWord]>(update, { args: [{ actor, reason }] })
      .catch((error: unknown) => {
        throw refusal(error, chosen.run);
      });
    if (json === true) print({ run: chosen.run, said });
    else console.log(`run ${chosen.run} is ${said}: npm run pipeline -- status`);
  } finally {
    await connection.close();
    await temporal.close();
  }
}

/** What the night itself says against the word, or that there is no night to hear it. */
function refusal(error: unknown, run: number): unknown {
  if (error instanceof WorkflowUpdateFailedError)
    return new UsageError(
      `run ${run}: ${error.cause instanceof Error ? error.cause.message : error.message}`,
    );
  if (error instanceof WorkflowNotFoundError)
    return new UsageError(`run ${run} has ended: nothing is to be decided any more`);
  return error;
}

export const approve = createDecision(
  'approve',
  APPROVE_UPDATE,
  'Let a night that asks publish all the same.',
  'npm run pipeline -- approve --reason "the source lost a year of ratings; known, and better than nothing"',
);

export const reject = createDecision(
  'reject',
  REJECT_UPDATE,
  'Block a night that asks: what is served stays.',
  'npm run pipeline -- reject --reason "ratings of the 24th are broken"',
);

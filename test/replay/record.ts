/** Records histories for the replay test: of nights of its own, or of any one run on a running server. */

import { InvalidArgumentError } from 'commander';
import { UsageError } from '../../config/settings.ts';
import { createCommand, run } from '../../scripts/support/cli.ts';
import { untilStopped } from '../../scripts/support/until-stopped.ts';
import { findServers, startStack } from '../../stack/index.ts';
import { connectTemporal, temporalTarget } from '../../temporal/connect.ts';
import { createLogger, installRuntime } from '../../worker/logging.ts';
import { type RecordedHistory, fetchHistories, writeHistory } from './histories.ts';
import { recordNights } from './nights.ts';

interface Options {
  case?: string;
  label?: string;
  workflowId?: string;
  runId?: string;
  overwrite: boolean;
  directory?: string;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Says for each file what became of it. */
function createKeeper({ overwrite, directory }: Options) {
  let kept = 0;
  return {
    keep(histories: RecordedHistory[]): void {
      for (const history of histories) {
        const done = writeHistory(history, { overwrite, directory });
        if (done === 'kept') kept++;
        console.log(`${done.padEnd(9)} ${history.file} (${history.history.events.length} events)`);
      }
    },
    conclude(): void {
      if (kept > 0)
        say(`${kept} files are as they were: --label records beside them, --overwrite replaces them`);
    },
  };
}

async function recordOwn(options: Options): Promise<void> {
  if (options.runId !== undefined) throw new UsageError('--run-id: say by --workflow-id of which workflow');
  const keeper = createKeeper(options);
  const stopping = untilStopped();
  installRuntime(createLogger(process.env.LOG_LEVEL ?? 'fatal'));
  // Always servers of its own: nights of this kind belong into nobody's database.
  const stack = await startStack({
    ephemeral: true,
    env: { ...process.env, DATABASE_URL: undefined, TEMPORAL_ADDRESS: undefined },
    log: say,
  });
  try {
    const { databaseUrl, temporalAddress } = stack;
    if (databaseUrl === null || temporalAddress === null) throw new Error('the stack is incomplete');
    let recorded = 0;
    const recording = recordNights({ databaseUrl, temporalAddress }, async (name, handle, workflows) => {
      if (options.case !== undefined && options.case !== name) return;
      recorded++;
      const called = options.label === undefined ? name : `${name}-${options.label}`;
      const histories = await fetchHistories(handle.client, handle, called);
      keeper.keep(histories.filter(({ workflowType }) => workflows?.includes(workflowType) ?? true));
    });
    await stopping.or(Promise.race([recording, stack.lost]), 'stopped; what was not recorded is as it was');
    if (recorded === 0)
      throw new UsageError(`--case ${options.case ?? ''}: no such case; test/replay/nights.ts has them`);
    keeper.conclude();
  } finally {
    await stack.stop();
  }
}

async function recordRun(workflowId: string, options: Options): Promise<void> {
  if (options.case === undefined)
    throw new UsageError('--workflow-id: say by --case what the history is to be called');
  if (options.label !== undefined)
    throw new UsageError('--label: is for the recorded nights; --case names a run');
  const { temporalAddress, temporalNamespace } = findServers();
  if (temporalAddress === null)
    throw new Error('no server: start one with npm run stack, or name it in TEMPORAL_ADDRESS');
  const temporal = await connectTemporal(
    temporalTarget({
      ...process.env,
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: temporalNamespace,
    }),
  );
  try {
    const keeper = createKeeper(options);
    keeper.keep(
      await fetchHistories(temporal.client.workflow, { workflowId, runId: options.runId }, options.case),
    );
    keeper.conclude();
    say('inputs, results and messages are in the files as they were: look before you commit them');
  } finally {
    await temporal.close();
  }
}

const name = (text: string): string => {
  if (!/^[a-z0-9-]+$/.test(text))
    throw new InvalidArgumentError('expected small letters, digits and hyphens');
  return text;
};

await run(
  createCommand(
    'record',
    'Record histories for the replay test, in servers of its own. A file that is there stays as it is.',
    [
      'npm run record',
      'npm run record -- --label after-trending-split   # beside those of before the change',
      'npm run record -- --case blocked --overwrite',
      'npm run record -- --workflow-id nightly-2026-11-24T02:00:00.000Z --case slow-night',
    ],
  )
    .option('--case <name>', 'only this case; with --workflow-id, what to call the run', name)
    .option('--label <name>', 'goes behind the name of each case', name)
    .option('--workflow-id <id>', 'record this workflow and its children from the server that runs')
    .option('--run-id <id>', 'which run of it; the last by default')
    .option('--overwrite', 'replace files: what ran before they were recorded is no longer tested', false)
    .option('--directory <path>', 'where to write; test/replay/histories by default')
    .action((options: Options) =>
      options.workflowId === undefined ? recordOwn(options) : recordRun(options.workflowId, options),
    ),
);

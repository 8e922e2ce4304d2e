import type { WorkflowBundleOption } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import * as workflows from '../../workflows/index.ts';
import { readHistories } from './histories.ts';
import { bundleWorkflows, replay } from './replay.ts';

const histories = readHistories();

let bundle: WorkflowBundleOption;
beforeAll(async () => {
  bundle = await bundleWorkflows();
});

// Also what fails when there is no history at all.
test.each(Object.keys(workflows))('there is a history of %s', (workflow) => {
  expect(
    histories.some(({ workflowType }) => workflowType === workflow),
    'npm run record writes those that are missing; a workflow of its own needs a case in test/replay/nights.ts',
  ).toBe(true);
});

test.each(histories)('$file is replayed by the workflows as they are', async (recorded) => {
  await replay(bundle, recorded).catch((error: unknown) => {
    throw new Error(
      `a run that was recorded as ${recorded.file} could not go on with these workflows; docs/changing-workflows.md says what to do`,
      { cause: error },
    );
  });
});

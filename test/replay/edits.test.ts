import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TASK_QUEUES } from '../../workflows/contracts.ts';
import { type TestTemporal, createTestTemporal } from '../support/temporal.ts';
import { type RecordedHistory, fetchHistories, readHistories } from './histories.ts';
import { WORKFLOWS, bundleWorkflows, replay } from './replay.ts';

// Edits as an engineer may make them: which of them replay refuses, and how one is made that it does not. The table in
// docs/changing-workflows.md rests on these.

/** An edit of one file: `text`, which stands there once, becomes `by`. */
interface Edit {
  file: string;
  text: string;
  by: string;
}

const root = fileURLToPath(new URL('../../.nightjar', import.meta.url));
let directory: string;
beforeAll(() => {
  mkdirSync(root, { recursive: true });
  // In the project: the copies' imports of packages are found from there.
  directory = mkdtempSync(join(root, 'edited-workflows-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const histories = readHistories();

async function bundleWith(edits: Edit[]): Promise<WorkflowBundleOption> {
  const folder = mkdtempSync(join(directory, 'workflows-'));
  cpSync(WORKFLOWS, folder, { recursive: true });
  for (const { file, text, by } of edits) {
    const parts = readFileSync(join(folder, file), 'utf8').split(text);
    expect(parts, `"${text}" stands in ${file} once: has the workflow been changed?`).toHaveLength(2);
    writeFileSync(join(folder, file), parts.join(by));
  }
  return bundleWorkflows(folder);
}

/** Which of the histories workflows with these edits could not go on with. */
async function refusedBy(edits: Edit[], recorded = histories): Promise<string[]> {
  const bundle = await bundleWith(edits);
  const refused: string[] = [];
  for (const history of recorded) {
    await replay(bundle, history).catch((error: unknown) => {
      expect(error, history.file).toBeInstanceOf(DeterminismViolationError);
      refused.push(history.file);
    });
  }
  return refused;
}

/** The histories of workflows in which they called an activity. */
function whichCalled(activity: string, ...workflows: string[]): string[] {
  const call = `"activityType":{"name":"${activity}"}`;
  return histories
    .filter(
      ({ workflowType, history }) =>
        workflows.includes(workflowType) && JSON.stringify(history).includes(call),
    )
    .map(({ file }) => file);
}

const NIGHT = 'nightly-pipeline.ts';
const IMPORT = 'import { CancellationScope, executeChild, patched,';
const silver = `await board.stage('silver', () => activities.buildSilver({ run }));`;
const again = `await board.stage('silver again', () => activities.runGate({ run, scope: 'silver' }));`;

describe('one more activity', () => {
  test('fails the replay of every night that came so far', async () => {
    const nights = whichCalled('buildSilver', 'nightlyPipeline', 'rerunNight');
    expect(nights).toContain('nightlyPipeline.first.json');
    expect(await refusedBy([{ file: NIGHT, text: silver, by: `${silver}\n${again}` }])).toEqual(nights);
  });

  test('behind patched passes', async () => {
    const edits = [{ file: NIGHT, text: silver, by: `${silver}\nif (patched('silver-again')) ${again}` }];
    expect(await refusedBy(edits)).toEqual([]);
  });
});

test.each<{ what: string; refused: string; edit: Edit }>([
  {
    what: 'a timer more',
    refused: 'nightlyPipeline.gate.json',
    edit: {
      file: NIGHT,
      text: 'const { run } = begun;',
      by: `const { run } = begun;\nawait new Promise((resolve) => setTimeout(resolve, 1000));`,
    },
  },
  {
    what: 'another child type',
    refused: 'nightlyPipeline.first.json',
    edit: { file: NIGHT, text: 'executeChild(abTest,', by: `executeChild('compareChallengers',` },
  },
  {
    what: 'an activity less',
    refused: 'nightlyPipeline.first.json',
    edit: {
      file: NIGHT,
      text: `await board.stage('clean up', () => activities.retireVersions({ run }));`,
      by: '',
    },
  },
  {
    what: 'an activity renamed',
    refused: 'publishRecommendations.first.json',
    edit: {
      file: 'proxies.ts',
      text: '{ publishVersion, restoreVersion }',
      by: '{ movePointer: publishVersion, restoreVersion }',
    },
  },
  {
    what: 'activities that start at once, in another order',
    refused: 'refreshFeatures.first.json',
    edit: {
      file: 'refresh-features.ts',
      text: 'Promise.all([users(), movies(), genres()])',
      by: 'Promise.all([movies(), users(), genres()])',
    },
  },
  {
    what: 'a child named otherwise',
    refused: 'nightlyPipeline.first.json',
    edit: { file: 'support/children.ts', text: 'request.run}/${kind}', by: 'request.run}-${kind}' },
  },
  {
    what: 'another update of the memo',
    refused: 'nightlyPipeline.known.json',
    edit: {
      file: 'support/identity.ts',
      text: 'upsertMemo({ outcome });',
      by: 'upsertMemo({ outcome }); upsertMemo({ again: true });',
    },
  },
  {
    what: 'a result read in a way that an old one cannot be',
    refused: 'nightlyPipeline.first.json',
    edit: { file: NIGHT, text: 'begun.known !== null', by: `begun.known.status !== 'running'` },
  },
])('$what fails the replay', async ({ refused, edit }) => {
  expect(await refusedBy([edit])).toContain(refused);
});

test('timeouts, queues, summaries, queries, values and names of stages are nothing to a replay', async () => {
  const edits = [
    { file: 'timeouts.ts', text: `startToCloseTimeout: '5m'`, by: `startToCloseTimeout: '7m'` },
    { file: 'contracts.ts', text: `'nightjar-training'`, by: `'elsewhere'` },
    { file: 'proxies.ts', text: `'source to snapshot'`, by: `'another summary'` },
    {
      file: 'support/stage-board.ts',
      text: 'const show = ',
      by: `setHandler(defineQuery('again'), () => progress); const show = `,
    },
    { file: 'support/identity.ts', text: 'upsertMemo({ outcome })', by: 'upsertMemo({ result: outcome })' },
    { file: NIGHT, text: `stage('bronze',`, by: `stage('raw',` },
    // Nor is the input of an activity: that the model is checked by another gate from here on is not seen.
    { file: NIGHT, text: `scope: 'model'`, by: `scope: 'source'` },
  ];
  expect(await refusedBy(edits)).toEqual([]);
});

describe('a patch from its beginning to its end', () => {
  const outcome = {
    status: 'success',
    reason: 'known',
    alerts: [],
    model_version: null,
    champion: null,
    rmse: null,
  };
  const before = 'const begun = ';
  const check = `await board.stage('check', () => activities.checkSource({ ...request, asOf }));\n`;
  const step = (imported: string, code: string): Edit[] => [
    { file: NIGHT, text: IMPORT, by: `import { ${imported} CancellationScope, executeChild, patched,` },
    { file: NIGHT, text: before, by: `${code}${before}` },
  ];
  const introduced = step('', `if (patched('check-first')) ${check}`);
  const deprecated = step('deprecatePatch,', `deprecatePatch('check-first'); ${check}`);
  const removed = step('', check);
  const unpatched = histories.filter(({ file }) => file === 'nightlyPipeline.known.json');

  /** The history of a night that finds its outcome, by workflows with these edits. */
  async function recordWith(temporal: TestTemporal, edits: Edit[]): Promise<RecordedHistory[]> {
    const connection = await NativeConnection.connect({ address: temporal.address });
    const worker = await Worker.create({
      connection,
      namespace: temporal.namespace,
      taskQueue: TASK_QUEUES.pipeline,
      workflowBundle: await bundleWith(edits),
      activities: {
        checkSource: () => Promise.resolve([]),
        beginRun: () => Promise.resolve({ run: 1, known: outcome }),
      },
    });
    const workflowId = randomUUID();
    try {
      await worker.runUntil(
        temporal.client.workflow.execute('nightlyPipeline', {
          workflowId,
          taskQueue: TASK_QUEUES.pipeline,
          args: [{ profile: 'small' }],
        }),
      );
      return await fetchHistories(temporal.client.workflow, { workflowId }, 'recorded');
    } finally {
      await connection.close();
    }
  }

  test('each step replays the runs of the step before, and not those of the one before that', async () => {
    const temporal = await createTestTemporal();
    try {
      const ofIntroduced = await recordWith(temporal, introduced);
      const ofDeprecated = await recordWith(temporal, deprecated);
      expect(unpatched).toHaveLength(1);

      expect(await refusedBy(introduced, unpatched)).toHaveLength(0);
      expect(await refusedBy(deprecated, ofIntroduced)).toHaveLength(0);
      expect(await refusedBy(removed, ofDeprecated)).toHaveLength(0);

      expect(await refusedBy(deprecated, unpatched)).toHaveLength(1);
      expect(await refusedBy(removed, ofIntroduced)).toHaveLength(1);
    } finally {
      await temporal.close();
    }
  });
});

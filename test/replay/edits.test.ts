import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RecordedHistory, readHistories } from './histories.ts';
import { WORKFLOWS, bundleWorkflows, replay } from './replay.ts';

// Edits as an engineer may make them: which of them replay refuses, and how one is made that it does not. What
// docs/changing-workflows.md says rests on these.

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

/** The histories that workflows with these edits could not go on with. */
async function refusedBy(edits: Edit[]): Promise<string[]> {
  const folder = mkdtempSync(join(directory, 'workflows-'));
  cpSync(WORKFLOWS, folder, { recursive: true });
  for (const { file, text, by } of edits) {
    const parts = readFileSync(join(folder, file), 'utf8').split(text);
    expect(parts, `"${text}" stands in ${file} once: has it been changed?`).toHaveLength(2);
    writeFileSync(join(folder, file), parts.join(by));
  }
  const bundle = await bundleWorkflows(folder);
  const refused: string[] = [];
  for (const recorded of histories) {
    await replay(bundle, recorded).catch((error: unknown) => {
      expect(error, recorded.file).toBeInstanceOf(DeterminismViolationError);
      refused.push(recorded.file);
    });
  }
  return refused;
}

/** The histories in which an activity or a child of that type was asked for. */
function whichCalled(type: string, workflow: string): string[] {
  const called = ({ history }: RecordedHistory): boolean =>
    JSON.stringify(history).includes(`Type":{"name":"${type}"}`);
  return histories
    .filter((recorded) => recorded.workflowType === workflow && called(recorded))
    .map(({ file }) => file);
}

const NIGHT = 'nightly-pipeline.ts';
const afterSilver = `await board.stage('silver', () => activities.buildSilver({ run }));`;
const another = `await board.stage('silver again', () => activities.runGate({ run, scope: 'silver' }));`;

describe('one more stage', () => {
  const nights = whichCalled('buildSilver', 'nightlyPipeline');

  test('fails the replay of every night that came so far', async () => {
    const edit = { file: NIGHT, text: afterSilver, by: `${afterSilver}\n${another}` };
    expect(nights).toContain('nightlyPipeline.first.json');
    expect(await refusedBy([edit])).toEqual(nights);
  });

  test('behind patched it passes', async () => {
    const edits = [
      { file: NIGHT, text: 'import { CancellationScope,', by: 'import { patched, CancellationScope,' },
      {
        file: NIGHT,
        text: afterSilver,
        by: `${afterSilver}\nif (patched('silver-again')) ${another}`,
      },
    ];
    expect(await refusedBy(edits)).toEqual([]);
  });
});

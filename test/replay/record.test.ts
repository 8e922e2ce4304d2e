import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TASK_QUEUES } from '../../workflows/contracts.ts';
import { type TestTemporal, createTestTemporal } from '../support/temporal.ts';
import { type RecordedHistory, readHistories } from './histories.ts';
import { bundleWorkflows, replay } from './replay.ts';

const script = fileURLToPath(new URL('./record.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'nightjar-histories-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function record(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, ...env } });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (text: Buffer) => (output[stream] += text.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...output };
}

test('npm run record has help with examples', async () => {
  const { status, stdout } = await record(['--help']);
  expect(status).toBe(0);
  expect(stdout).toContain('Usage: record');
  expect(stdout).toContain('Examples:');
});

test('npm run record makes every history anew, by itself', async () => {
  const target = join(directory, 'own');
  const { status, stderr } = await record(['--directory', target]);
  expect(status, stderr).toBe(0);
  const recorded = readHistories(target);
  const kept = readHistories();
  const types = (histories: RecordedHistory[]): string[] => [
    ...new Set(histories.map(({ workflowType }) => workflowType)),
  ];
  expect(types(recorded)).toEqual(types(kept));
  // There may be more in the repository: of before a change, or of a production run.
  expect(kept.map(({ file }) => file)).toEqual(expect.arrayContaining(recorded.map(({ file }) => file)));
  const bundle = await bundleWorkflows();
  for (const history of recorded) await replay(bundle, history);
  // Servers and nine runs: half a minute alone, longer beside other tests.
}, 300_000);

describe('a run of a running server', () => {
  let temporal: TestTemporal;
  beforeAll(async () => {
    temporal = await createTestTemporal();
    const connection = await NativeConnection.connect({ address: temporal.address });
    const worker = await Worker.create({
      connection,
      namespace: temporal.namespace,
      taskQueue: TASK_QUEUES.pipeline,
      workflowBundle: await bundleWorkflows(),
      activities: {
        beginRun: () => Promise.resolve({ run: 1, known: null, challengers: [], champion: [] }),
        runGate: () => Promise.reject(ApplicationFailure.nonRetryable('no', 'GateFailed')),
        failRun: () =>
          Promise.resolve({ status: 'failed', alerts: [], model_version: null, champion: null, rmse: null }),
      },
    });
    await worker.runUntil(
      temporal.client.workflow
        .execute('nightlyPipeline', {
          workflowId: 'of-production',
          taskQueue: TASK_QUEUES.pipeline,
          args: [{ profile: 'small' }],
        })
        .catch(() => undefined),
    );
    await connection.close();
  });
  afterAll(() => temporal.close());

  const recordRun = (workflowId: string, ...args: string[]) =>
    record(['--directory', directory, '--workflow-id', workflowId, '--case', 'lost-gate', ...args], {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
    });

  test('is recorded under the name that is asked for, without hosts and stacks', async () => {
    expect(await recordRun('of-production')).toMatchObject({ status: 0 });
    expect(readdirSync(directory).filter((file) => file.endsWith('.json'))).toEqual([
      'nightlyPipeline.lost-gate.json',
    ]);
    const [recorded] = readHistories(directory);
    expect(recorded).toMatchObject({ workflowType: 'nightlyPipeline', workflowId: 'of-production' });
    const text = readFileSync(join(directory, recorded.file), 'utf8');
    expect(text).toContain('GateFailed');
    expect(text).not.toContain(`@${hostname()}`);
    expect(text).not.toContain('stackTrace');
    await replay(await bundleWorkflows(), recorded);
  });

  test('replaces a file only where it is told to', async () => {
    expect((await recordRun('of-production')).stdout).toMatch(/^kept +nightlyPipeline\.lost-gate\.json/);
    expect((await recordRun('of-production', '--overwrite')).stdout).toMatch(/^overwrote /);
  });

  test('that does not exist is one line', async () => {
    const { status, stderr } = await recordRun('nosuch');
    expect(status).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('not found');
  });
});

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNight } from '../scripts/support/start-night.ts';
import { type TestDatabase, createTestDatabase } from './support/database.ts';
import { startScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type TestTemporal, createTestTemporal } from './support/temporal.ts';

let database: TestDatabase;
let temporal: TestTemporal;
beforeAll(async () => {
  [database, temporal] = await Promise.all([createTestDatabase(), createTestTemporal()]);
  await fillSource(database, 30, 20);
});
afterAll(async () => {
  await temporal.close();
  await database.drop();
});

function workerOf(parent: number): number {
  const lines = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
  const line = lines.find(
    (one) => one.includes('worker/main.ts') && Number(one.trim().split(/\s+/)[1]) === parent,
  );
  return Number(line?.trim().split(/\s+/)[0] ?? 0);
}

test('the stack starts its worker again when it is killed, and the night goes on', async () => {
  const { process: stack, finished } = startScript(['stack', '--json'], {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
  });
  if (stack.stdout === null || stack.pid === undefined) throw new Error('no output');
  await once(stack.stdout, 'data');
  const first = workerOf(stack.pid);
  const handle = await startNight(temporal.client, {
    asOf: '2026-02-01T00:00:00.000Z',
    profile: 'small',
    overrides: SMALL,
  });
  process.kill(first, 'SIGKILL');
  expect(await handle.result()).toMatchObject({ status: 'success', published: true });
  const second = workerOf(stack.pid);
  expect(second).not.toBe(first);
  expect(second).toBeGreaterThan(0);
  stack.kill('SIGINT');
  const { code, stderr } = await finished;
  expect(stderr).toContain('the worker ended with SIGKILL');
  expect(code).toBe(0);
  expect(workerOf(stack.pid)).toBe(0);
});

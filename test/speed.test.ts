import { afterAll, beforeAll, expect, test } from 'vitest';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import { type SpeedResult, TASK_QUEUES } from '../workflows/contracts.ts';
import type { speedLayer } from '../workflows/index.ts';
import { SPEED_EXECUTION_TIMEOUT } from '../workflows/timeouts.ts';
import { startScript } from './support/scripts.ts';
import { fillSource, insertRatings } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
const AS_OF = '2026-02-01T00:00:00.000Z';

beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 40);
});
afterAll(() => night.close());

const pipeline = (...args: string[]) =>
  startScript(['pipeline', 'speed', ...args], {
    DATABASE_URL: night.database.url,
    TEMPORAL_ADDRESS: night.address,
    TEMPORAL_NAMESPACE: night.namespace,
  }).finished;

const passes = async (): Promise<number> =>
  (await night.database.pool.query('select pass from speed.passes')).rowCount ?? 0;

test('before the first publish: one line, exit code 2, nothing written; a workflow says the same', async () => {
  const { code, stdout, stderr } = await pipeline();
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('nothing is published yet');
  expect(stdout).toBe('');
  expect(code).toBe(2);
  const found = await night.client.workflow.execute<typeof speedLayer>('speedLayer', {
    workflowId: 'too-early',
    taskQueue: TASK_QUEUES.pipeline,
    args: [{}],
  });
  expect(found).toMatchObject({ pass: null, folded_users: 0 });
  expect(await passes()).toBe(0);
});

test.each([
  [['--set', 'trending.windowDays=soon'], '--set trending.windowDays'],
  [['--profile', 'huge'], '--profile huge: no such profile'],
])('%s: one line, exit code 2, nothing changed', async (args, says) => {
  const before = await passes();
  const { code, stderr } = await pipeline(...args);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(says);
  expect(code).toBe(2);
  expect(await passes()).toBe(before);
});

test('a pass by command: new ratings are there to see, and its history is small and ends in time', async () => {
  const handle = await startNight(night.client, { asOf: AS_OF, profile: 'small', overrides: SMALL });
  expect(await outcomeOf(handle, handle.result())).toMatchObject({ published: true });
  await insertRatings(
    night.database,
    [1, 3, 5, 7, 9].map((movie) => [77, movie, 4, '2026-02-02 12:00:00']),
  );
  const { code, stdout, stderr } = await pipeline('--json');
  expect(code, stderr).toBe(0);
  const found = JSON.parse(stdout) as SpeedResult & { ui_url: string | null };
  expect(found).toMatchObject({ run: 1, changed_users: 1, folded_users: 1 });
  const { rows } = await night.database.pool.query<{ provenance: string; lists: number; recent: number }>(`
    select (select count(*) from recommendations.for_user(77, 20) where provenance = 'fold-in') as lists,
           (select max(latest_rating)::text from recommendations.trending) as recent`);
  expect(rows).toEqual([{ lists: 20, recent: '2026-02-02 12:00:00+00' }]);
  const again = await pipeline();
  expect(again).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('1 users changed since run 1') as string,
  });

  const query = `WorkflowType = 'speedLayer' and WorkflowId != 'too-early'`;
  await expect
    .poll(async () => (await night.client.workflow.count(query)).count, { timeout: 60_000 })
    .toBe(2);
  const listed = night.client.workflow.list({ query });
  let seen = 0;
  for await (const { workflowId } of listed) {
    const { events } = await night.client.workflow.getHandle(workflowId).fetchHistory();
    let worst = 0;
    for (const { activityTaskScheduledEventAttributes: activity } of events ?? []) {
      if (!activity) continue;
      const attempts = activity.retryPolicy?.maximumAttempts ?? Infinity;
      // The pauses between are bounded by the longest.
      worst += attempts * (Number(activity.startToCloseTimeout?.seconds) + 15);
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(Number.parseInt(SPEED_EXECUTION_TIMEOUT) * 60);
    expect((events ?? []).length).toBeLessThan(60);
    seen++;
  }
  expect(seen).toBe(2);
});

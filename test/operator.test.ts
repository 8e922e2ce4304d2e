import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateRatings } from '../data/generate.ts';
import { digestRun } from '../database/digest.ts';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import { type NightProgress, PROGRESS_QUERY } from '../workflows/contracts.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
let day = 0;
beforeAll(async () => {
  night = await startNightTest();
  await generateRatings(night.database, { ratings: 5_000, seed: 42, end: new Date('2026-01-31') });
});
afterAll(() => night.close());

/** A night whose every model is over the threshold. */
async function start(overrides: string[] = ['alarm.rmseThreshold=0.1', 'alarm.policy=ask']) {
  day++;
  const handle = await startNight(night.client, {
    asOf: `2026-02-${String(day).padStart(2, '0')}T00:00:00.000Z`,
    profile: 'small',
    overrides: [...SMALL, ...overrides],
  });
  return { handle, outcome: outcomeOf(handle, handle.result()) };
}
type Handle = Awaited<ReturnType<typeof start>>['handle'];

/** Waits until a night asks, and returns what its stage says meanwhile. */
async function untilAsked(handle: Handle): Promise<string | null> {
  for (;;) {
    const { stages } = await handle.query<NightProgress>(PROGRESS_QUERY);
    const asking = stages.find(({ stage, state }) => stage === 'operator' && state === 'running');
    if (asking !== undefined) return asking.note;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const say = (handle: Handle, update: 'approve' | 'reject', actor: string, reason: string): Promise<string> =>
  handle.executeUpdate<string, [unknown]>(update, { args: [{ actor, reason }] }).catch((error: unknown) => {
    throw error instanceof WorkflowUpdateFailedError && error.cause instanceof Error ? error.cause : error;
  });

async function decisionOf(run: number) {
  const { rows } = await night.database.pool.query<{ decision: string; actor: string; reason: string }>(
    'select decision, actor, reason from models.promotions where run = $1',
    [run],
  );
  return rows;
}

test('approved, the night publishes what it would have blocked; who and why are in the history', async () => {
  const { handle, outcome } = await start();
  await untilAsked(handle);
  await expect(say(handle, 'approve', 'anna', '  ')).rejects.toThrow('reason: expected who decides and why');
  await expect(say(handle, 'approve', '', 'because')).rejects.toThrow('actor: expected who decides and why');
  expect(await say(handle, 'approve', 'anna', 'known, and better than nothing')).toBe('approved by anna');
  const found = await outcome;
  expect(found).toMatchObject({ status: 'success', published: true });
  expect(found.alerts).toEqual(['rmse_over_threshold']);
  const decisions = await decisionOf(found.run);
  expect(decisions).toHaveLength(1);
  expect(decisions[0]).toMatchObject({ decision: 'first', actor: 'anna' });
  expect(decisions[0].reason).toContain('approved by anna: known, and better than nothing');
  await expect(say(handle, 'approve', 'anna', 'again')).rejects.toThrow();
});

test('while it waits, whoever is asked is told: by an alert on its way, in the details, in the stage', async () => {
  const { handle, outcome } = await start();
  const note = await untilAsked(handle);
  const { run } = await handle.query<NightProgress>(PROGRESS_QUERY);
  const command = `npm run pipeline -- approve --run ${run} --reason "…"`;
  expect(note).toMatch(/^until 2\d{3}-\d\d-\d\d \d\d:\d\d UTC: /);
  expect(note).toContain(command);
  await expect
    .poll(() =>
      night.database.db
        .selectFrom('pipeline.alerts')
        .where('run', '=', run)
        .select(['kind', 'message', 'taken_by'])
        .execute(),
    )
    .toEqual([
      {
        kind: 'rmse_over_threshold',
        message: expect.stringContaining(`waits for an operator, 8 hours at most: ${command}`) as string,
        taken_by: expect.stringContaining(`${handle.workflowId}/alerts-`) as string,
      },
    ]);
  const details = async (): Promise<string> =>
    (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
  expect(await details()).toContain('**An operator is asked, until ');
  expect(await details()).toContain(`\`${command}\` publishes (refresh)`);
  await say(handle, 'reject', 'ben', 'the ratings are broken');
  expect((await outcome).status).toBe('blocked');
  expect(await details()).not.toContain('is asked, until');
});

test('rejected, what is served stays; who decides second is told what was decided', async () => {
  const before = await night.database.pool.query('select model_run from serving.pointer');
  const { handle, outcome } = await start();
  await untilAsked(handle);
  const words = await Promise.allSettled([
    say(handle, 'reject', 'ben', 'ratings of the 24th are broken'),
    say(handle, 'approve', 'anna', 'no, they are not'),
  ]);
  expect(words.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = words.find((word) => word.status === 'rejected');
  expect(String(refused?.reason)).toContain('decided already');
  const found = await outcome;
  const first = words[0].status === 'fulfilled';
  expect(found.status).toBe(first ? 'blocked' : 'success');
  const [decision] = await decisionOf(found.run);
  expect(decision.actor).toBe(first ? 'ben' : 'anna');
  if (!first) return;
  expect(decision).toMatchObject({ decision: 'blocked' });
  expect(found.reason).toContain('rejected by ben: ratings of the 24th are broken');
  expect((await night.database.pool.query('select model_run from serving.pointer')).rows).toEqual(
    before.rows,
  );
  const { rows } = await night.database.pool.query('select status from models.metadata where run = $1', [
    found.run,
  ]);
  expect(rows).toEqual([{ status: 'rejected' }]);
});

test('when nobody decides in time, what is served stays, and a word that comes later is refused', async () => {
  const served = async () => {
    const { tables } = await digestRun(night.database.db, 1);
    return Object.entries(tables).filter(([table]) => /^(store|serving|models)\./.test(table));
  };
  const before = await served();
  expect(before.filter(([, { rows }]) => rows > 0).length).toBeGreaterThan(8);
  // A second or so.
  const { handle, outcome } = await start([
    'alarm.rmseThreshold=0.1',
    'alarm.policy=ask',
    'alarm.askHours=0.0003',
  ]);
  const found = await outcome;
  expect(found).toMatchObject({ status: 'blocked', published: false });
  expect(found.reason).toContain('nobody decided within 0.0003 hours');
  await expect(say(handle, 'approve', 'anna', 'better late')).rejects.toThrow();
  expect(Object.fromEntries(await served())).toEqual(Object.fromEntries(before));
});

test('a night that asks nothing takes no word', async () => {
  const { handle, outcome } = await start([]);
  await expect(say(handle, 'approve', 'anna', 'go on')).rejects.toThrow('nothing is to be decided');
  expect((await outcome).status).toBe('success');
});

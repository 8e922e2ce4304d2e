import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { databaseId } from '../../database/readers.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { beginRun } from './begin-run.ts';
import type { OwnTemporal } from './own-temporal.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => database.pool.query('truncate pipeline.runs cascade'));

const closed: OwnTemporal = {
  namespaceId: () => Promise.resolve('here'),
  isOpen: () => Promise.resolve(false),
};
const begin = (asOf: string, executionId: string, temporal = closed) =>
  beginRun(database, temporal, 'test', { asOf, profile: 'small', workflowId: executionId, executionId });

test('a run whose own Temporal is elsewhere counts as live, and for a day at most', async () => {
  await begin('2026-02-01T00:00:00Z', 'of-elsewhere', {
    ...closed,
    namespaceId: () => Promise.resolve('elsewhere'),
  });
  await expect(begin('2026-02-02T00:00:00Z', 'mine')).rejects.toMatchObject({
    type: 'AnotherRunIsLive',
    message: expect.stringContaining('another Temporal namespace, elsewhere') as string,
  });
  await database.pool.query(`update pipeline.runs set live_since = live_since - interval '25 hours'`);
  expect(await begin('2026-02-02T00:00:00Z', 'mine')).toMatchObject({ known: null });
  const { rows } = await database.pool.query('select status from pipeline.runs order by as_of');
  expect(rows).toEqual([{ status: 'failed' }, { status: 'running' }]);
});

test('an as-of of the future is refused: published, it would keep every night before it from being so', async () => {
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  await expect(begin(tomorrow, 'mine')).rejects.toMatchObject({ type: 'InvalidRequest' });
  expect((await database.pool.query('select from pipeline.runs')).rowCount).toBe(0);
});

test('a lost completion finds its own row again', async () => {
  const first = await begin('2026-02-01T00:00:00Z', 'mine');
  expect(await begin('2026-02-01T00:00:00Z', 'mine')).toEqual(first);
});

test('a night of a caller who means another database is refused, and leaves no row', async () => {
  const request = { asOf: '2026-02-01T00:00:00Z', profile: 'small', workflowId: 'w', executionId: 'w' };
  const other = { ...request, database: '00000000-0000-0000-0000-000000000000' };
  await expect(beginRun(database, closed, 'test', other)).rejects.toMatchObject({
    type: 'InvalidRequest',
    message: expect.stringContaining('works for another database than DATABASE_URL names') as string,
  });
  expect((await database.pool.query('select from pipeline.runs')).rowCount).toBe(0);
  const meant = { ...request, database: await databaseId(database.db) };
  expect(await beginRun(database, closed, 'test', meant)).toMatchObject({ known: null });
});

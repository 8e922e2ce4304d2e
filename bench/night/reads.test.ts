import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { fillSource } from '../../test/support/source.ts';
import { publishNight } from '../../test/support/stages.ts';
import { chooseKeys, startReaders } from './readers.ts';
import { ReadLog, type ReadPlan, judge, kindOf } from './reads.ts';
import { nameSlowReads } from './report.ts';

test('an answer is judged by its versions', () => {
  expect(judge([])).toBe('empty');
  expect(judge(['a', 'a'])).toBe('good');
  expect(judge(['a', 'b'])).toBe('mixed');
});

test.each([1, 2, 3, 8])('each of %i connections makes every kind of read equally often', (connections) => {
  for (let connection = 0; connection < connections; connection++) {
    const counts = [0, 0, 0];
    for (let turn = 0; turn < 30; turn++) counts[kindOf(turn * connections + connection, connections)]++;
    expect(counts).toEqual([10, 10, 10]);
  }
});

test('percentiles, troubles, and the slowest with the stages that were under way', () => {
  const log = new ReadLog();
  for (let ms = 1; ms <= 1000; ms++) log.answered(ms % 2 === 0 ? 'features' : 'similar', ms, 'good', '');
  log.answered('recommendations', 2, 'empty', 'recommendations of 7');
  log.answered('recommendations', 2, 'mixed', 'recommendations of 8');
  log.failed('features of 9', new Error('no such column'));
  const report = log.report({ connections: 8, readsPerSecond: 200 });
  expect(report).toMatchObject({ reads: 1002, errors: 1, empty: 1, mixed: 1, reads_per_second: 200 });
  // Three digits are kept.
  const about = (value: number) => expect.closeTo(value, -0.4) as number;
  expect(report).toMatchObject({
    p50_ms: about(500),
    p99_ms: about(990),
    p999_ms: about(999),
    max_ms: about(1000),
  });
  expect(report.kinds.features).toMatchObject({ reads: 500, p50_ms: about(500) });
  expect(report.troubles).toEqual([
    'recommendations of 7: empty',
    'recommendations of 8: mixed',
    'features of 9: no such column',
  ]);
  expect(report.slowest.map(({ ms }) => ms)).toEqual([1000, 999, 998, 997, 996]);
  const now = Date.now();
  const stage = (name: string, from: number, to: number) => ({
    name,
    started_at: new Date(now + from),
    finished_at: new Date(now + to),
  });
  const { slowest } = nameSlowReads({ ...report, slowest: [{ kind: 'features', ms: 100, at: now }] }, [
    stage('before', -900, -200),
    stage('split', -150, -50),
    stage('refit', -20, 500),
    stage('after', 10, 500),
  ]);
  expect(slowest).toEqual([{ kind: 'features', ms: 100, stages: ['split', 'refit'] }]);
});

test('of nothing there are no percentiles', () => {
  const report = new ReadLog().report({ connections: 1, readsPerSecond: 1 });
  expect(report).toMatchObject({ reads: 0, p50_ms: 0, p999_ms: 0, max_ms: 0, errors: 0, slowest: [] });
});

describe('of a published night', () => {
  let database: TestDatabase;
  let plan: ReadPlan;
  beforeAll(async () => {
    database = await createTestDatabase();
    await fillSource(database, 30, 20);
    await publishNight(database, '2026-02-01T00:00:00Z');
    plan = { url: database.url, connections: 2, readsPerSecond: 100, ...(await chooseKeys(database.db)) };
  });
  afterAll(() => database.drop());

  async function readFor(milliseconds: number, changed: Partial<ReadPlan> = {}) {
    const stop = startReaders({ ...plan, ...changed });
    await setTimeout(milliseconds);
    return stop();
  }

  test('whoever is chosen has an answer of every kind', async () => {
    expect(plan.users.length).toBeGreaterThan(20);
    expect(plan.movies.length).toBeGreaterThan(2);
    const report = await readFor(2_000);
    expect(report).toMatchObject({ errors: 0, empty: 0, mixed: 0, troubles: [] });
    for (const { reads } of Object.values(report.kinds)) expect(reads).toBeGreaterThan(0);
  });

  test('what everybody gets is no answer for somebody who has a list', async () => {
    const NOBODY = 999_999;
    const { kinds, empty, errors } = await readFor(2_000, { users: [NOBODY] });
    expect(empty).toBe(kinds.recommendations.reads + kinds.features.reads);
    expect(errors).toBe(0);
  });

  test('reads that wait behind another one count from when they were due', async () => {
    const stop = startReaders(plan);
    await setTimeout(1_000);
    const client = await database.pool.connect();
    await client.query('begin; lock table serving.pointer in access exclusive mode');
    await setTimeout(3_000);
    await client.query('rollback');
    client.release();
    // Most of them were due while nobody could read; one a connection would have waited in a closed loop.
    expect((await stop()).p50_ms).toBeGreaterThan(100);
  });

  test('a read that fails is an error, and the next one is made', async () => {
    await database.pool.query('alter view features.user_features rename to was');
    try {
      await expect(readFor(500)).rejects.toThrow('ended too early');
    } finally {
      await database.pool.query('alter view features.was rename to user_features');
    }
    const stop = startReaders(plan);
    await setTimeout(1_500);
    await database.pool.query('alter view features.user_features rename to was');
    await setTimeout(500);
    await database.pool.query('alter view features.was rename to user_features');
    await setTimeout(500);
    const { errors, troubles, reads } = await stop();
    expect(errors).toBeGreaterThan(1);
    expect(troubles[0]).toContain('user_features');
    expect(reads).toBeGreaterThan(0);
  });
});

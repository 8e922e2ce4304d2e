import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { connect, describeDatabase } from './connect.ts';
import { transaction } from './session.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrate: false });
});
afterAll(() => database.drop());

test('counts and numerics are numbers, a date is a day, an instant is an instant', async () => {
  const { rows } = await sql<Record<string, unknown>>`
    select count(*) as count, 1.25::numeric as numeric, '2026-03-29'::date as day,
           '2026-03-29 02:30+00'::timestamptz as instant`.execute(database.db);
  expect(rows[0]).toEqual({
    count: 1,
    numeric: 1.25,
    day: '2026-03-29',
    instant: new Date('2026-03-29T02:30:00Z'),
  });
});

test('a backend killed inside a transaction is an error there, and the pool lives on', async () => {
  const killed = transaction(database, async ({ db }) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
    await database.pool.query('select pg_terminate_backend($1)', [rows[0].pid]);
    await sql`select 1`.execute(db);
  });
  await expect(killed).rejects.toThrow();
  expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('backends killed while idle are replaced', async () => {
  const broken: Error[] = [];
  const other = connect({
    url: database.url,
    applicationName: 'nightjar-idle',
    max: 2,
    onConnectionError: (error) => broken.push(error),
  });
  try {
    await other.pool.query('select 1');
    await database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nightjar-idle'`,
    );
    await expect.poll(() => broken.length).toBeGreaterThan(0);
    expect((await other.pool.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
  } finally {
    await other.close();
  }
});

test('an abort cancels the statement that runs, and the connection serves on', async () => {
  const controller = new AbortController();
  const sleeping = transaction(
    database,
    async ({ db }) => {
      setTimeout(() => controller.abort(), 100);
      await sql`select pg_sleep(600)`.execute(db);
    },
    { signal: controller.signal },
  );
  await expect(sleeping).rejects.toThrow('canceling statement');
  expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a URL is shown without its password', () => {
  const shown = describeDatabase('postgresql://me:secret@db.example:5432/night?sslmode=require');
  expect(shown).toBe('postgresql://me@db.example:5432/night?sslmode=require');
  expect(describeDatabase('postgresql://me@db.example/night?password=secret&sslmode=require')).toBe(
    'postgresql://me@db.example/night?sslmode=require',
  );
  expect(describeDatabase('no url with secret')).not.toContain('secret');
});

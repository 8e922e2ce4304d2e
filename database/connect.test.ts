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

const aborted = (milliseconds: number): AbortSignal => AbortSignal.timeout(milliseconds);
const sleepers = async (): Promise<number> => {
  const { rows } = await database.pool.query<{ rows: number }>(
    `select count(*) as rows from pg_stat_activity where datname = current_database() and query = 'select pg_sleep(60)' and state = 'active'`,
  );
  return rows[0].rows;
};

test('a cancellation hits the statement that runs', async () => {
  const sleeping = transaction(database, ({ client }) => client.query('select pg_sleep(60)'), {
    signal: aborted(100),
  });
  await expect(sleeping).rejects.toThrow('canceling statement');
  expect(await sleepers()).toBe(0);
});

test('a cancellation between two statements hits the next one', async () => {
  const between = transaction(
    database,
    async ({ client }) => {
      await client.query('select 1');
      await new Promise((resolve) => setTimeout(resolve, 500));
      await client.query('select pg_sleep(60)');
    },
    { signal: aborted(100) },
  );
  await expect(between).rejects.toThrow('canceling statement');
  expect(await sleepers()).toBe(0);
});

test('what was cancelled before its commit is not committed, and after it the connection serves others', async () => {
  const late = transaction(
    database,
    async ({ client }) => {
      await client.query('create table never_there (id integer)');
      await new Promise((resolve) => setTimeout(resolve, 300));
    },
    { signal: aborted(100) },
  );
  await expect(late).rejects.toThrow('timeout');
  for (let tries = 0; tries < 20; tries++) await database.pool.query('select pg_sleep(0.02)');
  await expect(database.pool.query('table never_there')).rejects.toThrow('does not exist');
});

test('a transaction that stands still is ended by the server, and what it had locked is free', async () => {
  const { rows } = await database.pool.query<{ idle: string }>(
    `select current_setting('idle_in_transaction_session_timeout') as idle`,
  );
  expect(rows).toEqual([{ idle: '30s' }]);
  await database.pool.query('create table if not exists held (id integer)');
  const still = transaction(database, async ({ client }) => {
    await client.query(`set local idle_in_transaction_session_timeout = '200ms'`);
    await client.query('lock table held');
    await expect.poll(() => database.pool.query('table held'), { timeout: 10_000 }).toBeDefined();
    await client.query('select 1');
  });
  await expect(still).rejects.toThrow();
});

import { type RawBuilder, sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { gather } from './gather.ts';
import { type Session, transaction } from './session.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrate: false });
  await database.pool.query(`
    create table halves as select n % 2 as half, n % 1000 as id, n as value from generate_series(1, 100000) n`);
});
afterAll(() => database.drop());

const sums = (half: number): RawBuilder<unknown> => sql`
  select half, id, sum(value) as total from halves where half = ${sql.lit(half)} group by half, id`;

const gathered = (session: Session, queries: RawBuilder<unknown>[], signal = new AbortController().signal) =>
  gather(database, session, 'sums', queries, signal);

const atWork = async (): Promise<unknown> =>
  (
    await database.pool.query(
      `select query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'active'`,
    )
  ).rows;

test.each([[[0]], [[0, 1]], [[1, 0, 2]]])('what queries of the halves %o give together', async (halves) => {
  const rows = await transaction(database, async (session) => {
    await gathered(session, halves.map(sums));
    return (await sql`select * from sums order by half, id`.execute(session.db)).rows;
  });
  const wanted = await database.pool.query(
    `select half, id, sum(value) as total from halves where half = any($1) group by half, id order by half, id`,
    [halves],
  );
  expect(rows.length).toBe(wanted.rows.length);
  expect(rows).toEqual(wanted.rows);
});

test('queries see what the transaction does, not what is committed meanwhile', async () => {
  await transaction(
    database,
    async (session) => {
      await sql`select count(*) from halves`.execute(session.db);
      await database.pool.query(`insert into halves values (1, 1000, 1)`);
      await gathered(session, [sums(0), sums(1)]);
      const { rows } = await sql`select * from sums where id = 1000`.execute(session.db);
      expect(rows).toEqual([]);
    },
    { isolation: 'repeatable read' },
  );
});

test('where a query fails its error is told, and no other is at work', async () => {
  const slow = sql`select half, id, sum(value) as total from halves, pg_sleep(30) group by half, id`;
  const broken = sql`select 1, 1 / (id - id), 1::numeric from halves`;
  await expect(transaction(database, (session) => gathered(session, [slow, broken]))).rejects.toThrow(
    'division by zero',
  );
  expect(await atWork()).toEqual([]);
});

test('cancelled, it ends with the reason, and no query is at work', async () => {
  const slow = sql`select half, id, sum(value) as total from halves, pg_sleep(30) group by half, id`;
  const controller = new AbortController();
  const given = transaction(database, (session) => gathered(session, [slow, slow], controller.signal), {
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new Error('enough')), 200);
  await expect(given).rejects.toThrow(/enough|cancel|abort/i);
  expect(await atWork()).toEqual([]);
});

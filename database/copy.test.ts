import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { copyIn, copyOut } from './copy.ts';
import { LAST_SECOND, encodeBlocks } from './copy-columns.ts';
import {
  type RowColumn,
  encodeFactorRows,
  encodeRows,
  readFactorRows,
  readFixedColumns,
} from './copy-binary.ts';
import { transaction } from './session.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrate: false });
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query(`
    drop table if exists numbers, vectors, instants;
    create table numbers (a integer, b real, c smallint, d float8);
    create table vectors (run integer, id integer, factors real[])`);
});

const count = async (table: string): Promise<unknown> =>
  (await database.pool.query<{ count: number }>(`select count(*) from ${table}`)).rows[0].count;

test('rows go in and come out with every bit, NaN as null', async () => {
  const a = Int32Array.from({ length: 50_000 }, (_, row) => row * 7 - 100_000);
  const b = Float32Array.from(a, (value) => value / 3);
  const columns = [a, b];
  await transaction(database, async ({ client }) => {
    const rows = encodeRows(
      [
        { type: 'int4', values: a },
        { type: 'int2', values: Int32Array.from(a, (_, row) => row % 1000) },
        { type: 'float8', values: Float64Array.from(b, (value, row) => (row === 3 ? Number.NaN : value)) },
      ],
      a.length,
    );
    const target = { table: 'numbers', columns: ['a', 'c', 'd'], options: 'format binary' };
    expect(await copyIn(client, target, rows)).toBe(a.length);
    await client.query('update numbers set b = d');
  });
  expect((await database.pool.query('select a from numbers where d is null')).rows).toEqual([{ a: a[3] }]);
  await database.pool.query('update numbers set b = 1 where d is null');
  columns[1][3] = 1;
  const out = { columns: [new Int32Array(a.length), new Float32Array(a.length)], filled: 0 };
  await transaction(database, ({ client }) =>
    readFixedColumns(copyOut(client, 'select a, b from numbers order by a'), out),
  );
  expect(out).toEqual({ columns, filled: a.length });
});

test('texts and lists go in beside numbers, a list that is not there as null', async () => {
  await database.pool.query(
    'drop table if exists lists; create table lists (a integer, kind text, listed integer[])',
  );
  const columns: RowColumn[] = [
    { type: 'int4', values: Int32Array.of(1, 2, 3) },
    { type: 'text', values: Int8Array.of(1, 0, 1), texts: [Buffer.from('one'), Buffer.from('größer')] },
    {
      type: 'int4[]',
      values: Int32Array.of(1, -1, 0),
      counts: Uint32Array.of(2, 3),
      capacity: 3,
      items: Int32Array.of(7, -8, 0, 4, 5, 6),
    },
  ];
  await transaction(database, ({ client }) =>
    copyIn(
      client,
      { table: 'lists', columns: ['a', 'kind', 'listed'], options: 'format binary' },
      encodeRows(columns, 3),
    ),
  );
  expect((await database.pool.query('select * from lists order by a')).rows).toEqual([
    { a: 1, kind: 'größer', listed: [4, 5, 6] },
    { a: 2, kind: 'one', listed: null },
    { a: 3, kind: 'größer', listed: [7, -8] },
  ]);
});

test('columns go in, block by block, instants to the second from long ago until far from now', async () => {
  const [ids, values, seconds] = [new Int32Array(3), new Float32Array(3), new Float64Array(3)];
  const rows: [number, number, number][] = [
    [1, 0.5, 0],
    [-7, 4.5, 1_514_764_800],
    [2_147_483_647, 5, 946_684_800],
    [3, 0.1, 946_684_799],
    [4, -2, LAST_SECOND],
  ];
  function* fills(): Generator<number> {
    for (const part of [rows.slice(0, 3), [], rows.slice(3)]) {
      part.forEach((row, at) => ([ids[at], values[at], seconds[at]] = row));
      yield part.length;
    }
  }
  await database.pool.query('create table instants (a integer, b real, at timestamp)');
  await transaction(database, async ({ client }) => {
    const blocks = encodeBlocks(
      [
        { type: 'int4', values: ids },
        { type: 'float4', values },
        { type: 'timestamp', values: seconds },
      ],
      fills(),
    );
    const target = { table: 'instants', columns: ['a', 'b', 'at'], options: 'format binary' };
    expect(await copyIn(client, target, blocks)).toBe(rows.length);
  });
  const { rows: found } = await database.pool.query<Record<string, string>>(
    'select a, b, extract(epoch from at)::text as seconds from instants',
  );
  expect(found).toEqual(
    rows.map(([a, b, at]) => ({ a, b: Math.fround(b) === b ? b : 0.1, seconds: `${at}.000000` })),
  );
});

test('factors go in and come out with every bit', async () => {
  const ids = Int32Array.from({ length: 3_000 }, (_, row) => row - 5);
  const factors = Float32Array.from({ length: 3_000 * 5 }, (_, at) => Math.sin(at) / 3);
  await transaction(database, ({ client }) =>
    copyIn(
      client,
      { table: 'vectors', columns: ['run', 'id', 'factors'], options: 'format binary' },
      encodeFactorRows(9, ids, factors, 5),
    ),
  );
  const found = await transaction(database, ({ client }) =>
    readFactorRows(copyOut(client, 'select id, factors from vectors order by id'), 5),
  );
  expect(found).toEqual({ ids, factors });
  const wrong = transaction(database, ({ client }) =>
    readFactorRows(copyOut(client, 'select id, factors from vectors'), 4),
  );
  await expect(wrong).rejects.toThrow();
});

test('more rows than expected, or a null, are an error', async () => {
  await database.pool.query('insert into numbers (a, b) values (1, 1), (2, null)');
  const read = (query: string, rows: number) =>
    transaction(database, ({ client }) =>
      readFixedColumns(copyOut(client, query), {
        columns: [new Int32Array(rows), new Float32Array(rows)],
        filled: 0,
      }),
    );
  await expect(read('select a, b from numbers where b is not null', 0)).rejects.toThrow(
    'more than the 0 rows',
  );
  await expect(read('select a, b from numbers', 2)).rejects.toThrow();
});

test('of a COPY whose source fails or whose backend dies nothing stays', async () => {
  const failing = transaction(database, ({ client }) =>
    copyIn(
      client,
      { table: 'numbers', columns: ['a'] },
      (function* () {
        yield '1\n2\n';
        throw new Error('the source broke');
      })(),
    ),
  );
  await expect(failing).rejects.toThrow('the source broke');
  expect(await count('numbers')).toBe(0);

  const killed = transaction(database, async ({ client }) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const lines = (async function* () {
      yield '1\n2\n';
      await database.pool.query('select pg_terminate_backend($1)', [rows[0].pid]);
      for (;;) {
        yield '3\n'.repeat(10_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    return copyIn(client, { table: 'numbers', columns: ['a'] }, lines);
  });
  await expect(killed).rejects.toThrow();
  expect(await count('numbers')).toBe(0);
});

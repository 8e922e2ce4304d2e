import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { createRandom } from '../recommender/random.ts';
import { copyIn, copyOut } from './copy.ts';
import { copyOfServer } from './copy-out.ts';
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

test('rows of every length come out whole, wherever the connection cuts them; an error in the middle is told', async () => {
  const query = `select n, repeat(chr(97 + n % 26), n * 37 % case when n % 100 = 0 then 300000 else 90 end)
                 from generate_series(1, 20000) n`;
  const [{ sum }] = (
    await database.pool.query<{ sum: string }>(
      `select md5(string_agg(n || ' ' || t, ',' order by n)) as sum from (${query}) rows(n, t)`,
    )
  ).rows;
  await transaction(database, async ({ client }) => {
    const bytes = Buffer.concat((await copyOut(client, query).toArray()) as Buffer[]);
    const rows: string[] = [];
    for (let at = 19; bytes.readInt16BE(at) === 2;) {
      const end = at + 14 + bytes.readInt32BE(at + 10);
      rows.push(`${bytes.readInt32BE(at + 6)} ${bytes.toString('latin1', at + 14, end)}`);
      at = end;
    }
    expect(createHash('md5').update(rows.join(',')).digest('hex')).toBe(sum);
  });
  const failing = transaction(database, ({ client }) =>
    copyOut(client, 'select 1 / (50000 - n) from generate_series(1, 100000) n').toArray(),
  );
  await expect(failing).rejects.toThrow('division by zero');
});

test('a COPY that comes in pieces of any length gives what it gives at once', async () => {
  const random = createRandom(1);
  const message = (code: string, content: Buffer): Buffer => {
    const head = Buffer.from(`${code}0000`);
    head.writeUInt32BE(content.length + 4, 1);
    return Buffer.concat([head, content]);
  };
  const contents = Array.from({ length: 500 }, (_, at) => Buffer.alloc(random() % 100, at));
  const stream = Buffer.concat([
    message('H', Buffer.alloc(7)),
    ...contents.flatMap((content, at) => [
      message('d', content),
      ...(at % 50 === 0 ? [message('N', Buffer.alloc(9, 1))] : []),
    ]),
    message('c', Buffer.alloc(0)),
  ]);
  for (const longest of [1, 2, 7, 50, 3_000, stream.length]) {
    const copy = copyOfServer('copy (select) to stdout');
    // As after it has been sent, but for the connection.
    const { _parse: take } = Object.assign(copy, { _detach: () => undefined }) as unknown as {
      _parse: (chunk: Buffer) => boolean;
    };
    for (let at = 0; at < stream.length;) {
      const end = at + 1 + (random() % longest);
      // Of its own, as a socket's is: it is written to.
      take(Buffer.from(stream.subarray(at, end)));
      at = end;
    }
    expect(Buffer.concat((await copy.toArray()) as Buffer[])).toEqual(Buffer.concat(contents));
  }
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

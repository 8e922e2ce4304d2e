import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';
import { fillSource, insertRatings } from '../test/support/source.ts';
import { publishNight } from '../test/support/stages.ts';
import { DIGESTED_TABLES, type DigestedTable, type RunDigest, digestRun } from './digest.ts';

let database: TestDatabase;
let run: number;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 30, 20);
  await insertRatings(database, [
    [9, 999, 3, '2026-01-01'],
    [9, 1, 3, '2020-01-01'],
    [9, 1, 4, '2020-01-02'],
  ]);
  run = await publishNight(database, '2026-02-01T00:00:00Z');
  // A night of this test's own has no run log and no alert: rows for them, so that their cells can be changed.
  await database.pool.query(`
    insert into pipeline.run_log (run, as_of, status, run_at, duration_seconds, published, reason, stages)
    values (${run}, '2026-02-01', 'success', now(), 1, true, 'run ${run} went well', '[{"stage": "a", "rows": 1, "seconds": 2}]');
    insert into pipeline.alerts (run, kind, message) values (${run}, 'run_failed', 'run ${run} failed')`);
});
afterAll(() => database.drop());

test('a run gives the same digest whenever it is asked for', async () => {
  expect(await digestRun(database.db, run)).toEqual(await digestRun(database.db, run));
});

/** Another value of the same type that the constraints allow. */
function other(type: string, column: string): string {
  const ref = `"${column}"`;
  if (column === 'rating') return `case when ${ref} > 3 then ${ref} - 0.5 else ${ref} + 0.5 end`;
  if (type === 'boolean') return `not ${ref}`;
  if (type === 'jsonb') return `coalesce(${ref}, '[]') || '[{"stage": "b", "rows": 7}]'::jsonb`;
  if (type === 'text[]') return `array_append(${ref}, 'x')`;
  if (type === 'real[]') return `array_append(${ref}, 1::real)`;
  if (type === 'integer[]') return `array_append(${ref}, 1)`;
  if (type === 'text') return `coalesce(${ref}, '') || 'x'`;
  if (type.startsWith('timestamp')) return `coalesce(${ref}, 'epoch') + interval '1 second'`;
  return `coalesce(${ref}, 0) + 1000`;
}

test('a change of any one cell of any table changes its digest, but for clocks and ids', async () => {
  const before = await digestRun(database.db, run);
  const unchanged: string[] = [];
  let cells = 0;
  for (const table of DIGESTED_TABLES) {
    expect(before.tables[table.table].rows, table.table).toBeGreaterThan(0);
    const { rows } = await sql<{ column: string; type: string; identity: boolean }>`
      select attname as column, format_type(atttypid, null) as type, attidentity <> '' as identity
      from pg_attribute
      where attrelid = ${table.table}::regclass and attnum > 0 and not attisdropped`.execute(database.db);
    for (const { column, type, identity } of rows.filter((row) => row.column !== table.key)) {
      if (identity || column === '_chunk') {
        // The database gives it out itself, or the table says it: nobody can change it.
        unchanged.push(`${table.table}.${column}`);
        continue;
      }
      const changed = await changedDigest(table, column, other(type, column));
      cells++;
      if (changed.tables[table.table].digest === before.tables[table.table].digest) {
        unchanged.push(`${table.table}.${column}`);
      }
    }
  }
  expect(cells).toBeGreaterThan(180);
  expect(unchanged.sort()).toEqual(
    DIGESTED_TABLES.flatMap(({ table, without = [] }) =>
      without.map((column) => `${table}.${column}`),
    ).sort(),
  );
});

/** The digest as it would be with one cell changed; the change is rolled back. */
async function changedDigest(table: DigestedTable, column: string, value: string): Promise<RunDigest> {
  let changed: RunDigest | undefined;
  const undo = new Error('rolled back');
  const changing = database.db.transaction().execute(async (trx) => {
    // Foreign keys and triggers aside: the cell alone is changed.
    await sql`set local session_replication_role = replica`.execute(trx);
    const rows = sql`${sql.table(table.table)} where ${sql.ref(table.key)} = ${sql.lit(run)}`;
    const { numAffectedRows } = await sql`
      update ${sql.table(table.table)} set ${sql.ref(column)} = ${sql.raw(value)}
      where (tableoid, ctid) = (select tableoid, ctid from ${rows} limit 1)`.execute(trx);
    expect(numAffectedRows, `${table.table}.${column}`).toBe(1n);
    changed = await digestRun(trx, run, [table]);
    throw undo;
  });
  await expect(changing).rejects.toBe(undo);
  if (changed === undefined) throw new Error(`${table.table}.${column} was not digested`);
  return changed;
}

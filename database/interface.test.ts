import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../test/support/database.ts';

interface Column {
  type: string;
  nullable: boolean;
}
type Tables = Record<string, Record<string, Column>>;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** What each PostgreSQL type is in TypeScript, with our parsers. */
const TYPES: Record<string, string> = {
  smallint: 'number',
  integer: 'number',
  bigint: 'number',
  numeric: 'number',
  real: 'number',
  'double precision': 'number',
  text: 'string',
  uuid: 'string',
  boolean: 'boolean',
  'timestamp with time zone': 'Date',
  'timestamp without time zone': 'Date',
  jsonb: 'json',
  'text[]': 'string[]',
  'real[]': 'number[]',
  'integer[]': 'number[]',
  'double precision[]': 'number[]',
  bytea: 'Buffer',
};

/** The `Database` interface as the compiler sees it; Kysely's column types by what a select gives. */
function readInterface(): Tables {
  const file = fileURLToPath(new URL('./types/index.ts', import.meta.url));
  const program = ts.createProgram([file], {
    strict: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    types: ['node'],
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  if (source === undefined) throw new Error('no interface file');
  const symbol = checker.getExportsOfModule(checker.getSymbolAtLocation(source) as ts.Symbol);
  const database = symbol.find(({ name }) => name === 'Database');
  if (database === undefined) throw new Error('no interface Database');

  const columnOf = (type: ts.Type): Column => {
    const select = type.getProperty('__select__');
    const given = select === undefined ? type : checker.getTypeOfSymbol(select);
    const parts = (given.isUnion() ? given.types : [given]).filter(
      (part) => !(part.flags & ts.TypeFlags.Undefined),
    );
    const values = parts.filter((part) => !(part.flags & ts.TypeFlags.Null));
    const nullable = values.length < parts.length;
    const names = new Set(
      values.map((part) => {
        if (part.flags & ts.TypeFlags.NumberLike) return 'number';
        if (part.flags & ts.TypeFlags.StringLike) return 'string';
        if (part.flags & ts.TypeFlags.BooleanLike) return 'boolean';
        const name = checker.typeToString(part);
        return ['Date', 'string[]', 'number[]'].includes(name)
          ? name
          : name.startsWith('Buffer')
            ? 'Buffer'
            : 'json';
      }),
    );
    const [name] = names;
    if (names.size !== 1) throw new Error(`a column of several types: ${[...names].join(', ')}`);
    return { type: name, nullable };
  };

  return Object.fromEntries(
    checker
      .getDeclaredTypeOfSymbol(database)
      .getProperties()
      .map((table) => [
        table.name,
        Object.fromEntries(
          checker
            .getTypeOfSymbol(table)
            .getProperties()
            .map((column) => [column.name, columnOf(checker.getTypeOfSymbol(column))]),
        ),
      ]),
  );
}

async function readDatabase(): Promise<{ tables: Tables; views: Set<string> }> {
  const { rows } = await sql<{
    table: string;
    kind: string;
    column: string;
    type: string;
    nullable: boolean;
  }>`
    select n.nspname || '.' || c.relname as table, c.relkind as kind, a.attname as column,
           format_type(a.atttypid, null) as type, not a.attnotnull as nullable
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v') and not c.relispartition and a.attnum > 0 and not a.attisdropped
      and n.nspname !~ '^(pg_|information_schema|public)' and c.relname !~ '^kysely_'`.execute(database.db);
  const tables: Tables = {};
  for (const { table, column, type, nullable } of rows) {
    tables[table] = { ...tables[table], [column]: { type: TYPES[type] ?? `unknown: ${type}`, nullable } };
  }
  return { tables, views: new Set(rows.filter(({ kind }) => kind === 'v').map(({ table }) => table)) };
}

test('the Database interface is the migrated database: tables, columns, types, nulls', async () => {
  const declared = readInterface();
  const { tables, views } = await readDatabase();
  // A view's columns have no nullability of their own.
  for (const view of views) {
    for (const column of Object.values(tables[view])) column.nullable = false;
    for (const column of Object.values(declared[view] ?? {})) column.nullable = false;
  }
  expect(Object.keys(declared).length).toBeGreaterThan(30);
  expect(declared).toEqual(tables);
});

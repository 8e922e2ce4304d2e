import { type RawBuilder, sql } from 'kysely';
import { type Connection, isSameDatabase } from '../../database/connect.ts';
import { copyIn, copyOut } from '../../database/copy.ts';
import { type Session, exportSnapshot, setLocal, transaction } from '../../database/session.ts';
import { LEFT_ALONE } from '../../database/versions.ts';
import type { ActivityDependencies } from '../support/run.ts';

/** One view of the source, for as long as it is open. */
export interface SourceReader {
  /** What a transaction of ours has to see where it reads the source itself. */
  view: { snapshot: string } | undefined;
  /**
   * Adds to a table of ours what `query` gives of the source.
   * @param plan `parallel` where it looks at much for little: an INSERT gets no parallel plan
   * @returns the number of rows
   */
  append(
    session: Session,
    table: string,
    columns: readonly string[],
    query: RawBuilder<unknown>,
    plan?: 'parallel',
  ): Promise<number>;
  /**
   * Makes an unlogged table of ours of what `query` gives of the source; `columns` with their types. Fuller pages sooner
   * than by `append`: PostgreSQL writes a table that is made so past its shared buffers.
   * @param plan `parallel` where it looks at much for little
   * @returns the number of rows
   */
  create(
    session: Session,
    table: string,
    columns: string,
    query: RawBuilder<unknown>,
    plan?: 'parallel',
  ): Promise<number>;
  /** Makes a temporary table of what `query` gives of the source; `columns` with their types. */
  tabulate(session: Session, table: string, columns: string, query: RawBuilder<unknown>): Promise<void>;
  /**
   * What `query` gives of the source, to be read from once: the query itself where it can be part of another one, which
   * PostgreSQL may then run in parallel, as it does not over temporary tables; else one of those, as of `tabulate`.
   */
  relation(
    session: Session,
    table: string,
    columns: string,
    query: RawBuilder<unknown>,
  ): Promise<RawBuilder<unknown>>;
  /** Answers a small question about the source. */
  ask<Row>(query: RawBuilder<Row>): Promise<Row[]>;
}

/**
 * Opens one view of the source for `body`: all that is read in it, by however many connections side by side, is the
 * source of one moment. A source in our own database is read by statements there; rows of any other pass through us by
 * COPY, as bytes.
 */
export function withSource<Result>(
  { connection, source }: Pick<ActivityDependencies, 'connection' | 'source'>,
  signal: AbortSignal,
  body: (reader: SourceReader) => Promise<Result>,
): Promise<Result> {
  return transaction(
    source,
    async ({ db, client }) => {
      // It holds the view open while others read.
      const view = await exportSnapshot(client);
      const ask = async <Row>(query: RawBuilder<Row>): Promise<Row[]> => (await query.execute(db)).rows;
      return body(
        isSameDatabase(connection, source)
          ? { view, ask, ...hereReader }
          : { view: undefined, ask, ...copyingReader(source, view, signal) },
      );
    },
    { signal, isolation: 'repeatable read' },
  );
}

const list = (columns: readonly string[]): RawBuilder<unknown> =>
  sql.join(columns.map((column) => sql.ref(column)));

/**
 * The planner takes every row to be wanted where a condition is on what a cast gives, of which it knows nothing, and would have
 * one process look at all of them rather than have two send theirs on.
 */
export const FAVOUR_PARALLEL = { parallel_tuple_cost: '0' };

const hereReader: Omit<SourceReader, 'view' | 'ask'> = {
  append: async ({ db }, table, columns, query, plan) => {
    if (plan === 'parallel') {
      await setLocal(db, FAVOUR_PARALLEL);
      await sql`create temporary table read_here on commit drop as ${query}`.execute(db);
    }
    const rows = plan === 'parallel' ? sql`select ${list(columns)} from read_here` : query;
    const { numAffectedRows } = await sql`
      insert into ${sql.table(table)} (${list(columns)}) ${rows}`.execute(db);
    return Number(numAffectedRows);
  },
  create: async ({ db, client }, table, _columns, query, plan) => {
    if (plan === 'parallel') await setLocal(db, FAVOUR_PARALLEL);
    const made = sql`create unlogged table ${sql.table(table)} ${LEFT_ALONE} as ${query}`.compile(db);
    return (await client.query(made.sql)).rowCount ?? 0;
  },
  tabulate: async ({ db }, table, _columns, query) => {
    await sql`create temporary table ${sql.table(table)} on commit drop as ${query}`.execute(db);
  },
  relation: async ({ db }, _table, _columns, query) => {
    await setLocal(db, FAVOUR_PARALLEL);
    return sql`(${query})`;
  },
};

function copyingReader(
  source: Connection,
  view: { snapshot: string },
  signal: AbortSignal,
): Omit<SourceReader, 'view' | 'ask'> {
  const copy = ({ client }: Session, table: string, columns: readonly string[], query: RawBuilder<unknown>) =>
    transaction(
      source,
      ({ db, client: reader }) =>
        copyIn(client, { table, columns, options: 'format binary' }, copyOut(reader, query.compile(db).sql), {
          signal,
        }),
      { signal, ...view },
    );
  const create = async (
    kind: string,
    [session, table, columns, query]: Parameters<SourceReader['create']>,
    atCommit = sql``,
  ): Promise<number> => {
    await sql`create ${sql.raw(kind)} table ${sql.table(table)} (${sql.raw(columns)}) ${atCommit}`.execute(
      session.db,
    );
    const names = columns.split(', ').map((column) => column.split(' ')[0]);
    return copy(session, table, names, query);
  };
  const tabulate: SourceReader['tabulate'] = async (...given) => {
    await create('temporary', given, sql`on commit drop`);
  };
  return {
    append: copy,
    create: (...given) => create('unlogged', given),
    tabulate,
    relation: async (session, table, columns, query) => {
      await tabulate(session, table, columns, query);
      return sql.table(table);
    },
  };
}

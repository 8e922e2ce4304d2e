/**
 * Versioned tables: list-partitioned parents with one partition a run. A partition is built detached, where
 * no reader looks, and attached when it is complete; the attachment checks it against the parent's columns
 * and builds the parent's indexes on it.
 */

import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Db } from './connect.ts';
import { setLocal } from './session.ts';
import type { Database } from './types/index.ts';

/** Tables whose rows belong to one run, or to the image that a run has built. */
export type VersionedTable = Exclude<
  Extract<
    keyof Database,
    `${'bronze' | 'silver' | 'store'}.${string}` | 'gold.user_totals' | 'gold.movie_totals'
  >,
  'bronze.batches' | 'silver.snapshots'
>;

/** Name of the partition of `table` that belongs to `run`. */
export function partitionName(table: VersionedTable, run: number): string {
  return `${table}_run${run}`;
}

/**
 * The rows of one run, by the name of their partition: through the parent, PostgreSQL holds each row's run against the one that
 * is asked for, a fifth of what it takes to count 25 million.
 */
export function rowsOf<Table extends VersionedTable>(
  table: Table,
  run: number,
): RawBuilder<Selectable<Database[Table]>> {
  return sql.table(partitionName(table, run));
}

/** The names, as SQL has them, of the tables that hold the rows of one run: that of its own name, or what it is made of. */
export async function leavesOf(db: Db, table: VersionedTable, run: number): Promise<string[]> {
  const { rows } = await sql<{ leaf: string }>`
    select relid::regclass::text as leaf from pg_partition_tree(${partitionName(table, run)}::regclass)
    where isleaf order by 1`.execute(db);
  return rows.map(({ leaf }) => leaf);
}

/** The column that says which run a row belongs to. */
export function versionColumn(table: VersionedTable): 'run' | '_batch_id' | 'image' {
  switch (table) {
    case 'silver.ratings':
      return 'image';
    case 'silver.rejected_ratings':
    case 'silver.superseded_ratings':
      return '_batch_id';
    default:
      return table.startsWith('bronze.') ? '_batch_id' : 'run';
  }
}

/**
 * Fills a new partition from a query and attaches it, all in the caller's transaction. `CREATE TABLE AS`,
 * because `INSERT … SELECT` gets no parallel plan. The query's columns are the parent's, by name and type.
 * @returns the number of rows
 */
export async function createPartitionAs(
  trx: Db,
  table: VersionedTable,
  run: number,
  query: RawBuilder<unknown> | { toOperationNode(): unknown },
): Promise<number> {
  const partition = partitionName(table, run);
  await sql`create table ${sql.table(partition)} ${LEFT_ALONE} as ${query}`.execute(trx);
  await attachPartition(trx, table, run);
  const { rows } = await sql<{ rows: number }>`select count(*) as rows from ${sql.table(partition)}`.execute(
    trx,
  );
  return rows[0].rows;
}

/** Creates an empty detached partition to be filled by COPY; `attachPartition` shows it. */
export async function createDetachedPartition(trx: Db, table: VersionedTable, run: number): Promise<void> {
  const kind = sql.raw(UNLOGGED.includes(table) ? 'unlogged table' : 'table');
  await sql`
    create ${kind} if not exists ${sql.table(partitionName(table, run))}
    (like ${sql.table(table)} including defaults including constraints, constraint partition_bound check (${isOf(table, run)}))
    ${LEFT_ALONE}`.execute(trx);
}

/**
 * Of tables that are written once, analysed when they are attached, and dropped some nights later: there is nothing for
 * autovacuum to do, which would read all of them meanwhile, and has whoever attaches wait for it for a second.
 */
export const LEFT_ALONE = sql`with (autovacuum_enabled = off)`;

/**
 * A batch of 25 million ratings would write 2.2 GB of WAL beside its 1.8 GB, and wait for the disk to have them. It is
 * read from the source and can be again: a server that crashes empties it, and the stages that need it read it anew, see
 * `restoreBatch` in `activities/ingestion`.
 */
const UNLOGGED: VersionedTable[] = ['bronze.ratings'];

/** What attaching would otherwise look for in every row. */
function isOf(table: VersionedTable, run: number): RawBuilder<unknown> {
  return sql`${sql.ref(versionColumn(table))} = ${sql.lit(run)}`;
}

/**
 * Attaches a complete partition: its rows are checked and indexed, then visible through the parent.
 * @param analysed whether the planner is told of its columns, beside its size
 */
export async function attachPartition(
  trx: Db,
  table: VersionedTable,
  run: number,
  analysed = true,
): Promise<void> {
  const partition = partitionName(table, run);
  await constrainAs(trx, table, partition, { partition_bound: isOf(table, run) });
  await sql`
    alter table ${sql.table(table)} attach partition ${sql.table(partition)} for values in (${sql.lit(run)})`.execute(
    trx,
  );
  await sql`alter table ${sql.table(partition)} drop constraint partition_bound`.execute(trx);
  if (!analysed) return;
  if (ROW_AN_ID.includes(table)) await analyseFew(trx, partition);
  else await analyse(trx, partition);
}

/** By a sample of 3,000 rows; what the transaction has set is put back. */
async function analyseFew(trx: Db, table: string): Promise<void> {
  const { rows } = await sql<{ before: string }>`
    select current_setting('default_statistics_target') as before`.execute(trx);
  await setLocal(trx, { default_statistics_target: '10' });
  await analyse(trx, table);
  await setLocal(trx, { default_statistics_target: rows[0].before });
}

/** Tables with one row an id, of which the planner needs to know how many there are: 30,000 of them take a tenth of a second a table. */
const ROW_AN_ID: VersionedTable[] = [
  'bronze.fingerprints',
  'bronze.changed_users',
  'silver.movies',
  'gold.user_totals',
  'gold.movie_totals',
  'store.user_features',
  'store.movie_features',
  'store.user_genre_preferences',
  'store.movie_stats',
  'store.movies',
];

/** All columns but vectors of factors: nobody asks for their elements, which take longer to count than all else. */
async function analyse(trx: Db, table: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select attname as name from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped and atttypid <> 'real[]'::regtype`.execute(
    trx,
  );
  const columns = rows.map(({ name }) => sql.ref(name));
  await sql`analyze ${sql.table(table)} (${sql.join(columns)})`.execute(trx);
}

/**
 * Gives a table the constraints of the one that it is to be a partition of, and others, conditions by their names; those that
 * it has stay. In one pass over the rows for all of it, so that attaching it scans nothing.
 */
export async function constrainAs(
  trx: Db,
  table: VersionedTable,
  child: string,
  others: Record<string, RawBuilder<unknown>>,
): Promise<void> {
  const parent = await trx
    .selectFrom(
      sql<{ name: string; not_null: boolean; definition: string | null }>`(
      select a.attname as name, a.attnotnull as not_null, null::text as definition
      from pg_attribute a where a.attrelid = ${table}::regclass and a.attnum > 0 and a.attnotnull
      union all
      select c.conname, false, pg_get_constraintdef(c.oid)
      from pg_constraint c where c.conrelid = ${table}::regclass and c.contype = 'c'
    )`.as('required'),
    )
    .selectAll()
    .execute();
  const own = await trx
    .selectFrom(
      sql<{ name: string }>`(
      select conname as name from pg_constraint
      where conrelid = ${child}::regclass and contype = 'c'
      union all
      select attname from pg_attribute
      where attrelid = ${child}::regclass and attnum > 0 and attnotnull
    )`.as('own'),
    )
    .select('name')
    .execute();
  const has = new Set(own.map(({ name }) => name));
  const additions = parent.map(({ name, not_null, definition }) => ({
    name,
    addition: not_null
      ? sql`alter column ${sql.ref(name)} set not null`
      : sql`add constraint ${sql.ref(name)} ${sql.raw(definition ?? '')}`,
  }));
  for (const [name, condition] of Object.entries(others))
    additions.push({ name, addition: sql`add constraint ${sql.ref(name)} check (${condition})` });
  const missing = additions.filter(({ name }) => !has.has(name)).map(({ addition }) => addition);
  if (missing.length > 0) await sql`alter table ${sql.table(child)} ${sql.join(missing)}`.execute(trx);
}

/** Runs that have a partition of `table`, attached or not, ascending. */
export async function partitionedRuns(db: Db, table: VersionedTable): Promise<number[]> {
  const [schema, name] = table.split('.');
  const { rows } = await sql<{ run: number }>`
    select substring(c.relname from '_run([0-9]+)$')::integer as run
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relkind in ('r', 'p') and c.relname ~ ${`^${name}_run[0-9]+$`}
    order by 1`.execute(db);
  return rows.map(({ run }) => run);
}

/** Runs whose partition of `table` is attached: complete, and visible through the parent. */
export async function attachedRuns(db: Db, table: VersionedTable): Promise<number[]> {
  const { rows } = await sql<{ run: number }>`
    select substring(c.relname from '_run([0-9]+)$')::integer as run
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${table}::regclass and not i.inhdetachpending and c.relname ~ '_run[0-9]+$'
    order by 1`.execute(db);
  return rows.map(({ run }) => run);
}

/** Completes a detachment from `table` that was begun and then given up, whichever partition it was. */
export async function finishDetaching(db: Db, table: VersionedTable): Promise<void> {
  const { rows } = await sql<{ partition: string }>`
    select c.relname as partition from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${table}::regclass and i.inhdetachpending`.execute(db);
  for (const { partition } of rows) {
    const name = sql.table(`${table.split('.')[0]}.${partition}`);
    await sql`alter table ${sql.table(table)} detach partition ${name} finalize`.execute(db);
  }
}

/**
 * Drops the partition of `run`, attached or not. Detached concurrently first, so that readers of the parent
 * are never locked out: not inside a transaction, and after `finishDetaching`.
 */
export async function dropPartition(db: Db, table: VersionedTable, run: number): Promise<void> {
  const partition = sql.table(partitionName(table, run));
  if ((await attachedRuns(db, table)).includes(run)) {
    await sql`alter table ${sql.table(table)} detach partition ${partition} concurrently`.execute(db);
  }
  await sql`drop table if exists ${partition}`.execute(db);
}

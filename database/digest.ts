/**
 * What a run produced, as digests that are free of clocks and ids: two runs of one as-of over the same source
 * have equal digests whatever went wrong in one of them, and any other cell that differs changes its table's.
 */

import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { Db } from './connect.ts';
import { heldSnapshots } from './snapshots.ts';
import type { Database } from './types/index.ts';

export interface DigestedTable {
  table: keyof Database;
  /** The column that says which run a row belongs to; left out itself, as an id. */
  key: 'run' | '_batch_id' | 'image';
  /** Columns that hold a clock's time or an id. */
  without?: readonly string[];
  /** Columns that hold one among other things: what is digested in their place. */
  instead?: Record<string, RawBuilder<unknown>>;
  /** Which rows are the run's own, where others work on its snapshot too. */
  only?: RawBuilder<boolean>;
}

/** Sentences name their run; which number it got is an id. */
const sentence = (column: string): RawBuilder<unknown> =>
  sql`regexp_replace(${sql.ref(column)}, ${'\\mrun[ -]?[0-9]+\\M'}, 'run', 'g')`;

/** Ad-hoc A/B tests add twins of their own to the run whose snapshot they are on. */
const ownTwin = sql<boolean>`not exists (
  select from experiments.evaluations e
  where e.run = user_metrics.run and e.configuration = user_metrics.configuration and e.test_id is not null)`;

/** What a night decided before it was re-opened stays on record, and is not what it has come to. */
const lastDecision = sql<boolean>`decision = 'rollback' or reopening = (
  select max(p.reopening) from models.promotions p where p.run = promotions.run and p.decision <> 'rollback')`;

/** Every output table of a run. */
export const DIGESTED_TABLES: readonly DigestedTable[] = [
  { table: 'bronze.ratings', key: '_batch_id', without: ['_ingested_at', '_chunk'] },
  { table: 'bronze.movies', key: '_batch_id', without: ['_ingested_at'] },
  { table: 'silver.ratings', key: 'image' },
  { table: 'silver.movies', key: 'run' },
  { table: 'silver.rejected_ratings', key: '_batch_id' },
  { table: 'silver.superseded_ratings', key: '_batch_id' },
  { table: 'silver.snapshots', key: 'run', without: ['image'] },
  { table: 'gold.user_totals', key: 'run' },
  { table: 'gold.movie_totals', key: 'run' },
  { table: 'gold.splits', key: 'run' },
  { table: 'store.user_features', key: 'run', without: ['_computed_at'] },
  { table: 'store.movie_features', key: 'run', without: ['_computed_at'] },
  { table: 'store.user_genre_preferences', key: 'run', without: ['_computed_at'] },
  { table: 'store.trending', key: 'run' },
  { table: 'store.movie_stats', key: 'run' },
  { table: 'store.batch_recs', key: 'run' },
  { table: 'store.similar_movies', key: 'run' },
  { table: 'store.movies', key: 'run' },
  { table: 'store.user_factors', key: 'run' },
  { table: 'store.item_factors', key: 'run' },
  {
    table: 'experiments.evaluations',
    key: 'run',
    without: ['training_seconds', 'evaluated_at'],
    only: sql`test_id is null`,
  },
  { table: 'experiments.user_metrics', key: 'run', only: ownTwin },
  {
    table: 'experiments.ab_test_results',
    key: 'run',
    without: ['test_id'],
    only: sql`test_id not in (select test_id from experiments.ab_tests)`,
  },
  { table: 'experiments.comparisons', key: 'run' },
  {
    table: 'models.metadata',
    key: 'run',
    without: ['model_version', 'snapshot', 'trained_at', 'code_version'],
  },
  { table: 'models.champions', key: 'run', without: ['champion_id', 'since', 'retired_at'] },
  {
    table: 'models.promotions',
    key: 'run',
    without: ['promotion_id', 'decided_at', 'reopening'],
    only: lastDecision,
  },
  {
    table: 'serving.versions',
    key: 'run',
    without: ['model_version', 'generated_at', 'published_at', 'retired_at', 'served_at'],
  },
  { table: 'serving.version_rows', key: 'run' },
  {
    table: 'quality.check_results',
    key: 'run',
    without: ['checked_at'],
    instead: { message: sentence('message') },
  },
  { table: 'quality.source_statistics', key: 'run' },
  {
    table: 'pipeline.run_log',
    key: 'run',
    without: ['run_at', 'duration_seconds', 'model_version', 'previous_run'],
    instead: {
      reason: sentence('reason'),
      // Stages without their times; those that ran side by side began in any order. What a rerun takes away first is
      // nothing that it comes to.
      stages: sql`(
        select jsonb_agg(s - 'seconds' order by s ->> 'stage') from jsonb_array_elements(stages) s
        where s ->> 'stage' <> 'undo')`,
    },
  },
  {
    table: 'pipeline.alerts',
    key: 'run',
    without: ['alert_id', 'raised_at', 'taken_by'],
    instead: { message: sentence('message') },
  },
];

export interface RunDigest {
  run: number;
  /** Over all tables. */
  digest: string;
  tables: Record<string, { rows: number; digest: string }>;
}

/**
 * Digests of everything that a run wrote and that is still kept, in one snapshot of the database.
 * @param db where it is a transaction, that one is used
 */
export async function digestRun(db: Db, run: number, chosen = DIGESTED_TABLES): Promise<RunDigest> {
  const read = async (trx: Db): Promise<RunDigest> => {
    const tables: RunDigest['tables'] = {};
    const image = (await heldSnapshots(trx)).find((held) => held.run === run)?.image ?? null;
    for (const table of chosen)
      tables[table.table] = await digestTable(trx, table, table.key === 'image' ? image : run);
    return { run, digest: createHash('sha256').update(JSON.stringify(tables)).digest('hex'), tables };
  };
  return db.isTransaction ? read(db) : db.transaction().setIsolationLevel('repeatable read').execute(read);
}

/** A sum over rows does not depend on their order, and needs no sort. */
async function digestTable(
  db: Db,
  { table, key, without = [], instead = {}, only = sql`true` }: DigestedTable,
  run: number | null,
) {
  const columns = await columnsOf(db, table);
  const digested = columns
    .filter((column) => column !== key && !without.includes(column))
    .map((column) => instead[column] ?? sql.ref(column));
  const { rows } = await sql<{ rows: number; sum: string }>`
    select count(*) as rows, to_hex(mod(coalesce(sum(
             hashtextextended(row(${sql.join(digested)})::text, 0)::numeric
           ), 0), 4611686018427387904)::bigint) as sum
    from ${sql.table(table)} where ${sql.ref(key)} = ${sql.lit(run)} and (${only})`.execute(db);
  return { rows: rows[0].rows, digest: rows[0].sum };
}

async function columnsOf(db: Db, table: string): Promise<string[]> {
  const { rows } = await sql<{ column: string }>`
    select attname as column from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attname`.execute(db);
  return rows.map(({ column }) => column);
}

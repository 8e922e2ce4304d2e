/** A run as a whole, for two of them to be held side by side: data, gates, twins, decision, durations. */

import { sql } from 'kysely';
import type { Db } from './connect.ts';

/** Everything that is kept of a run; undefined where the ledger has none of that number. */
export async function describeRun(db: Db, run: number) {
  const ledger = await db
    .selectFrom('pipeline.runs as r')
    .leftJoin('pipeline.run_log as l', 'l.run', 'r.run')
    .where('r.run', '=', run)
    .select(['r.run', 'r.as_of', 'r.profile', 'r.status', 'r.code_version', 'r.started_at', 'r.settings'])
    .select(['l.duration_seconds', 'l.published', 'l.failed_stage', 'l.reason'])
    .executeTakeFirst();
  if (ledger === undefined) return undefined;
  return {
    ...ledger,
    data: await readData(db, run),
    gates: await db
      .selectFrom('quality.check_results')
      .where('run', '=', run)
      .orderBy('scope')
      .orderBy('check_name')
      .select(['scope', 'check_name', 'severity', 'status', 'observed', 'expected', 'message'])
      .execute(),
    twins: await readTwins(db, run),
    comparisons: await db
      .selectFrom('experiments.comparisons')
      .where('run', '=', run)
      .orderBy('configuration_a')
      .orderBy('configuration_b')
      .select(['metric', 'configuration_a', 'configuration_b', 'difference', 'interval_low', 'interval_high'])
      .select(['decided', 'winner'])
      .execute(),
    decision: await db
      .selectFrom('models.promotions')
      .where('run', '=', run)
      .where('decision', '<>', 'rollback')
      .orderBy('reopening', 'desc')
      .select(['decision', 'from_configuration', 'to_configuration', 'reason', 'numbers', 'actor'])
      .executeTakeFirst(),
    stages: await readStages(db, run),
  };
}

export type DescribedRun = NonNullable<Awaited<ReturnType<typeof describeRun>>>;

async function readData(db: Db, run: number) {
  const snapshot = await db
    .selectFrom('silver.snapshots')
    .where('run', '=', run)
    .select(['bronze_ratings', 'silver_ratings', 'rejected_ratings', 'after_as_of', 'superseded_ratings'])
    .select(['users', 'rated_movies', 'movies', 'newest_rating_at'])
    .executeTakeFirst();
  const split = await db
    .selectFrom('gold.splits')
    .where('run', '=', run)
    .select(['train', 'holdout'])
    .executeTakeFirst();
  return { ...snapshot, ...split };
}

/** Metrics of the evaluation twins, the best RMSE first and those without one last. */
function readTwins(db: Db, run: number) {
  return db
    .selectFrom('experiments.evaluations')
    .where('run', '=', run)
    .orderBy(sql`rmse nulls last`)
    .orderBy('configuration')
    .select(['configuration', 'training_size', 'rmse', 'mae', 'precision_at_10', 'recall_at_10'])
    .select(['ndcg_at_10', 'map_at_10', 'coverage', 'users', 'predictions', 'dropped', 'training_seconds'])
    .execute();
}

function readStages(db: Db, run: number) {
  return db
    .selectFrom('pipeline.stages')
    .where('run', '=', run)
    .where('status', '<>', 'undone')
    .orderBy('started_at')
    .select([
      'stage',
      'status',
      'rows',
      sql<number | null>`extract(epoch from finished_at - started_at)`.as('seconds'),
    ])
    .execute();
}

/** Settings that two runs do not share, by `section.key`. */
export function differingSettings(a: unknown, b: unknown): { setting: string; a: unknown; b: unknown }[] {
  const [left, right] = [flatten(a), flatten(b)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((setting) => JSON.stringify(left.get(setting)) !== JSON.stringify(right.get(setting)))
    .sort()
    .map((setting) => ({ setting, a: left.get(setting) ?? null, b: right.get(setting) ?? null }));
}

function flatten(value: unknown, path: string[] = []): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return new Map([[path.join('.'), value]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...flatten(inner, [...path, key])]));
}

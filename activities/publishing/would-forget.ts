import { sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { heldSnapshots } from '../../database/snapshots.ts';
import { abandonedBefore } from './old-evidence.ts';

/** What the clean-up of a night that started now would delete by retention; runs, ascending. */
export interface Forgotten {
  /** Kept after it, tonight's own left out, and given up. */
  kept_versions: number[];
  retired_versions: number[];
  /** Whose snapshot goes. */
  snapshots: number[];
  user_metrics: number[];
  experiments: number[];
  /** How many grid searches and A/B tests that never came to their end. */
  abandoned: number;
}

/** As `retireVersions` does, from the ledger as it is, with one more run in it. */
export async function wouldForget(
  db: Db,
  { publishing, retention }: Settings,
  publishes: boolean,
): Promise<Forgotten> {
  const versions = await db
    .selectFrom('serving.versions as v')
    .leftJoin('serving.pointer as p', 'p.model_run', 'v.run')
    .where('v.retired_at', 'is', null)
    // Tonight's own takes the place of what is pointed to where it publishes.
    .$if(!publishes, (query) => query.orderBy(sql`p.model_run is null`))
    .orderBy('v.served_at', 'desc')
    .select('v.run')
    .execute();
  const keep = publishes ? publishing.keepVersions - 1 : publishing.keepVersions;
  const inOrder = versions.map(({ run }) => run);
  const kept = inOrder.slice(0, keep);
  const pointer = await db.selectFrom('serving.pointer').select('data_run').executeTakeFirst();
  const data = publishes || pointer === undefined ? [] : [pointer.data_run];
  const stays = [...kept, ...data];
  const known = await db.selectFrom('pipeline.runs').select('run').orderBy('run', 'desc').execute();
  const runs = known.map(({ run }) => run);
  const older = (nights: number): number[] => runs.slice(nights - 1).filter((run) => !stays.includes(run));
  return {
    kept_versions: ascending(kept),
    retired_versions: ascending(inOrder.slice(keep)),
    snapshots: (await heldSnapshots(db))
      .map(({ run }) => run)
      .filter((run) => !data.includes(run))
      .toSorted((a, b) => a - b),
    user_metrics: await having(db, 'experiments.user_metrics', older(retention.userMetricsNights)),
    experiments: await having(db, 'experiments.evaluations', older(retention.experimentNights)),
    abandoned: await countAbandoned(db, abandonedBefore(new Date(), retention)),
  };
}

const ascending = (runs: number[]): number[] => runs.toSorted((a, b) => a - b);

async function countAbandoned(db: Db, before: Date): Promise<number> {
  let abandoned = 0;
  for (const table of ['experiments.grid_searches', 'experiments.ab_tests'] as const) {
    const { rows } = await db
      .selectFrom(table)
      .where('finished_at', 'is', null)
      .where('created_at', '<', before)
      .select((count) => count.fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow();
    abandoned += rows;
  }
  return abandoned;
}

async function having(
  db: Db,
  table: 'experiments.user_metrics' | 'experiments.evaluations',
  runs: number[],
): Promise<number[]> {
  if (runs.length === 0) return [];
  const { rows } = await sql<{ run: number }>`
    select run from unnest(${sql.val(runs)}::integer[]) r (run)
    where exists (select from ${sql.table(table)} t where t.run = r.run) order by run`.execute(db);
  return rows.map(({ run }) => run);
}

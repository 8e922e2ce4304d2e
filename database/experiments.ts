/** Grid searches and ad-hoc A/B tests, and the snapshots that they can be made on. */

import type { Db } from './connect.ts';
import type { RunStatus } from './types/index.ts';
import { heldSnapshots } from './snapshots.ts';

export interface KeptSnapshot {
  run: number;
  as_of: Date;
  profile: string;
  status: RunStatus;
}

/** Runs whose snapshot is kept, newest first. */
export async function keptSnapshots(db: Db): Promise<KeptSnapshot[]> {
  const kept = (await heldSnapshots(db)).filter(({ rules }) => rules >= 0).map(({ run }) => run);
  if (kept.length === 0) return [];
  return db
    .selectFrom('pipeline.runs')
    .where('pipeline.runs.run', 'in', kept)
    .orderBy('pipeline.runs.run', 'desc')
    .select(['pipeline.runs.run', 'pipeline.runs.as_of', 'profile', 'status'])
    .execute();
}

/**
 * The snapshot of `run`; without one that of the newest run that came to its end, whose snapshot has passed its gates
 * and stays until the next night.
 * @returns undefined where it is not kept
 */
export function chooseSnapshot(kept: KeptSnapshot[], run: number | undefined): KeptSnapshot | undefined {
  return kept.find((one) =>
    run === undefined ? one.status === 'success' || one.status === 'blocked' : one.run === run,
  );
}

/** A grid search by its number. */
export function gridSearch(db: Db, search: number) {
  return db
    .selectFrom('experiments.grid_searches as g')
    .innerJoin('pipeline.runs as r', 'r.run', 'g.run')
    .where('g.search', '=', search)
    .select(['g.search', 'g.execution_id', 'g.run', 'g.metric', 'g.points', 'g.finished_at', 'r.as_of'])
    .executeTakeFirst();
}

/** The run that the grid search of a workflow is on, if it was entered. */
export function runOfGridSearch(db: Db, workflowId: string) {
  return db
    .selectFrom('experiments.grid_searches as g')
    .innerJoin('pipeline.runs as r', 'r.run', 'g.run')
    .where('g.workflow_id', '=', workflowId)
    .select(['r.run', 'r.profile'])
    .executeTakeFirst();
}

/** The points of a grid search that have been tried. */
export function gridSearchResults(db: Db, search: number) {
  return db
    .selectFrom('experiments.grid_search_results')
    .selectAll()
    .where('search', '=', search)
    .orderBy('configuration')
    .execute();
}

/** An ad-hoc A/B test by its workflow's id. */
export function abTest(db: Db, test: string) {
  return db
    .selectFrom('experiments.ab_tests as t')
    .innerJoin('pipeline.runs as r', 'r.run', 't.run')
    .where('t.test_id', '=', test)
    .selectAll('t')
    .select(['r.as_of', 'r.profile'])
    .executeTakeFirst();
}

/** The arms of an A/B test as they were compared, each but the first with its comparison with the first. */
export function abTestArms(db: Db, test: string) {
  return db
    .selectFrom('experiments.ab_test_arms as a')
    .leftJoin('experiments.ab_test_comparisons as c', (join) =>
      join.onRef('c.test_id', '=', 'a.test_id').onRef('c.arm', '=', 'a.arm'),
    )
    .innerJoin('experiments.ab_test_results as g', (join) =>
      join.onRef('g.test_id', '=', 'a.test_id').onRef('g.ab_group', '=', 'a.ab_group'),
    )
    .where('a.test_id', '=', test)
    .orderBy('a.arm')
    .select([
      'a.arm',
      'a.name',
      'a.configurations',
      'a.value',
      'a.seed_deviation',
      'a.ab_group',
      'a.group_value',
      'g.users as group_users',
      'g.is_winner',
      'c.difference',
      'c.interval_low',
      'c.interval_high',
      'c.p_value',
      'c.p_adjusted',
      'c.users',
      'c.decided',
      'c.seed_deviation as difference_seed_deviation',
    ])
    .execute();
}

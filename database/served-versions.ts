/** Published versions in the order in which they were served: what can be rolled back to. */

import { sql } from 'kysely';
import type { Db } from './connect.ts';

export interface PublishedVersion {
  run: number;
  model_version: string;
  retired_at: Date | null;
  /** Whether readers see it now. */
  served: boolean;
}

/** Runs whose version was served, one after another: each by its publish, or by a rollback to it. */
async function servingHistory(db: Db): Promise<{ run: number; rollback: boolean }[]> {
  const { rows } = await sql<{ run: number; rollback: boolean }>`
    select run, false as rollback, published_at as at from serving.versions
    union all
    select run, true, decided_at from models.promotions where decision = 'rollback'
    order by at`.execute(db);
  return rows;
}

/**
 * What was served before, the nearest first. A rollback is an undo: what it left behind is not come back to.
 * @returns runs, the one that is served not among them
 */
export function servedBefore(history: { run: number; rollback: boolean }[]): number[] {
  const stack: number[] = [];
  for (const { run, rollback } of history) {
    const at = stack.indexOf(run);
    if (rollback && at >= 0) stack.length = at;
    stack.push(run);
  }
  return stack.slice(0, -1).toReversed();
}

async function publishedVersions(db: Db): Promise<PublishedVersion[]> {
  return db
    .selectFrom('serving.versions as v')
    .leftJoin('serving.pointer as p', 'p.model_run', 'v.run')
    .orderBy('v.run', 'desc')
    .select(['v.run', 'v.model_version', 'v.retired_at'])
    .select(sql<boolean>`p.model_run is not null`.as('served'))
    .execute();
}

/** A way back, or in one line why there is none. */
export type Target = { target: PublishedVersion; served: PublishedVersion } | { refusal: string };

/**
 * The kept version that a person means.
 * @param to its run or its name; without it the one that was served before
 */
export async function findTarget(db: Db, to: string | undefined): Promise<Target> {
  const versions = await publishedVersions(db);
  const served = versions.find((one) => one.served);
  if (served === undefined) return { refusal: 'nothing is published yet: there is nothing to roll back' };
  const kept = versions.filter((one) => one.retired_at === null);
  const there = `kept are ${kept.map(({ run, model_version }) => `${run} (${model_version})`).join(', ')}`;
  if (to === undefined) {
    const back = servedBefore(await servingHistory(db)).find((run) => kept.some((one) => one.run === run));
    const target = kept.find(({ run }) => run === back);
    return target === undefined
      ? {
          refusal: `--to: no version that was served before ${served.model_version} is kept; ${there}`,
        }
      : { target, served };
  }
  const target = versions.find(({ run, model_version }) => String(run) === to || model_version === to);
  if (target === undefined) return { refusal: `--to ${to}: there is no such version; ${there}` };
  if (target.retired_at !== null)
    return {
      refusal: `--to ${to}: ${target.model_version} was retired at ${target.retired_at.toISOString()}; ${there}`,
    };
  return { target, served };
}

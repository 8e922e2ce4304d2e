/** What the database itself says of a night: its stages, and what its tables take. */

import { type NotNull, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';

export interface StageFigures {
  /** As in `pipeline.stages`. */
  name: string;
  seconds: number;
  rows: number;
}

export interface TimedStage extends StageFigures {
  started_at: Date;
  finished_at: Date;
}

/** The stages of a run in the order of their starts. Some run side by side: their seconds do not add up to the night's. */
export async function stageFigures(db: Db, run: number): Promise<TimedStage[]> {
  const stages = await db
    .selectFrom('pipeline.stages')
    .select(['stage', 'rows', 'started_at', 'finished_at'])
    .where('run', '=', run)
    .where('finished_at', 'is not', null)
    .$narrowType<{ finished_at: NotNull }>()
    .orderBy('started_at')
    .orderBy('stage')
    .execute();
  return stages.map(({ stage: name, rows, started_at, finished_at }) => ({
    name,
    seconds: (finished_at.getTime() - started_at.getTime()) / 1000,
    rows: rows ?? 0,
    started_at,
    finished_at,
  }));
}

export interface TableSize {
  name: string;
  /** Indexes and large values included. */
  mb: number;
}

/** Below this a table is not worth a line. */
const WORTH_SAYING_MB = 1;

/** The tables by size, each with its partitions: the source and all that nights have made. */
export async function tableSizes(db: Db): Promise<TableSize[]> {
  const { rows } = await sql<TableSize>`
    with recursive relation as (
      select c.oid, n.nspname || '.' || c.relname as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm') and not c.relispartition
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      union all
      select i.inhrelid, r.name from relation r join pg_inherits i on i.inhparent = r.oid
    )
    select name, (sum(pg_total_relation_size(oid)) / 1048576)::float8 as mb
    from relation group by name having sum(pg_total_relation_size(oid)) >= ${WORTH_SAYING_MB * 2 ** 20}
    order by mb desc, name`.execute(db);
  return rows;
}

/** Number of ratings that a source holds. */
export async function countRatings(db: Db): Promise<number> {
  const { rows } = await db
    .selectFrom('movielens.ratings')
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  return rows;
}

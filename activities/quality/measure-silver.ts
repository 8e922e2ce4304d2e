import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Run } from '../support/run.ts';
import { type Measurements, SAMPLE_ROWS } from './check.ts';
import { ofAll } from './measure-bronze.ts';

/** Counts the tables themselves, not what was noted when they were written; superseded rows are the note's. */
export async function measureSilver(db: Db, { run }: Run): Promise<Measurements> {
  const { rows } = await sql<{ bronze: number; silver: number; rejected: number; refused: number }>`
    select (select count(*) from bronze.ratings where _batch_id = ${sql.lit(run)}) as bronze,
           (select count(*) from silver.ratings where run = ${sql.lit(run)}) as silver,
           count(*) as rejected,
           count(*) filter (where reason <> 'after_as_of') as refused
    from silver.rejected_ratings where _batch_id = ${sql.lit(run)}`.execute(db);
  const { superseded_ratings: superseded } = await db
    .selectFrom('silver.snapshots')
    .select('superseded_ratings')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const [{ bronze, silver, rejected, refused }] = rows;
  if (bronze === 0) return {};
  const reasons = await db
    .selectFrom('silver.rejected_ratings')
    .where('_batch_id', '=', run)
    .groupBy('reason')
    .select(({ fn }) => ['reason', fn.countAll<number>().as('rows')])
    .orderBy('rows', 'desc')
    .limit(SAMPLE_ROWS)
    .execute();
  return {
    snapshot_present: { observed: silver },
    row_accounting: {
      observed: bronze - silver - rejected - superseded,
      finding: `${bronze} = ${silver} + ${rejected} + ${superseded}`,
    },
    refused_share: {
      observed: refused / bronze,
      finding: ofAll(refused, bronze),
      sample: reasons,
    },
  };
}

import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';

/**
 * Rows of the source that a run's snapshot was made of: counted in its batch where that is the whole, which its gate has done
 * where it has looked at it (as they were counted when it was read, where a crash has emptied it since), else by the
 * fingerprints of all that the pipeline has, and the batch's rows without a user.
 */
export async function countRead(db: Db, run: number): Promise<number> {
  const { rows } = await sql<{ rows: number }>`
    select case
      when b.follows is null and b.all_accepted is not null then b.ratings
      when b.follows is null
      then coalesce(nullif((select count(*) from bronze.ratings where _batch_id = ${sql.lit(run)}), 0), b.ratings)
      else (select coalesce(sum(ratings), 0) from bronze.fingerprints where _batch_id = ${sql.lit(run)})
         + (select count(*) from bronze.ratings where _batch_id = ${sql.lit(run)} and user_id is null)
      end::bigint as rows
    from bronze.batches b where b._batch_id = ${sql.lit(run)}`.execute(db);
  return rows[0].rows;
}

import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import { attachedRuns, partitionName } from '../../database/versions.ts';

/** Whether ratings were read into the batch of which not one is there: so a crash leaves an unlogged table. */
export async function isLost(db: Db, run: number): Promise<boolean> {
  const batch = partitionName('bronze.ratings', run);
  const { rows: read } = await sql<{ read: boolean; exists: boolean }>`
    select exists (
             select from pipeline.chunks
             where ${ratingChunks(run)} and rows > 0
           ) as read, to_regclass(${batch}) is not null as exists`.execute(db);
  if (!read[0].read || !read[0].exists) return false;
  const { rows } = await sql`select from ${sql.table(batch)} limit 1`.execute(db);
  return rows.length === 0;
}

/** Condition of the chunks of a run that hold ratings: their names begin so. */
function ratingChunks(run: number): RawBuilder<boolean> {
  return sql`run = ${sql.lit(run)} and stage = 'bronze' and chunk ~ '^(pages|users|rows) '`;
}

/** Has the ratings of a run read again from the first chunk on. */
export async function forgetChunks(db: Db, run: number): Promise<void> {
  await sql`delete from pipeline.chunks where ${ratingChunks(run)}`.execute(db);
}

/** Undoes stage bronze of a run. */
export async function forgetBatch(db: Db, run: number): Promise<void> {
  for (const table of [
    'bronze.ratings',
    'bronze.movies',
    'bronze.changed_users',
    'bronze.fingerprints',
  ] as const) {
    const partition = sql.table(partitionName(table, run));
    if ((await attachedRuns(db, table)).includes(run))
      await sql`alter table ${sql.table(table)} detach partition ${partition}`.execute(db);
    await sql`drop table if exists ${partition}`.execute(db);
  }
  await db.deleteFrom('bronze.batches').where('_batch_id', '=', run).execute();
  await db.deleteFrom('pipeline.chunks').where('run', '=', run).where('stage', '=', 'bronze').execute();
  await db
    .updateTable('pipeline.stages')
    .set({ status: 'running', result: null, rows: null, finished_at: null })
    .where('run', '=', run)
    .where('stage', '=', 'bronze')
    .execute();
}

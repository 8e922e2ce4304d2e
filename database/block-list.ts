/** Movies that no list shows, whatever a model says of them. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from './connect.ts';

/**
 * What was blocked at an instant, as a query of `movie_id`. A night goes by its start: its lists are made from one
 * block-list, however often a stage is tried; what is blocked later is hidden when lists are read.
 */
export function blockedAt(instant: Date): RawBuilder<unknown> {
  const at = sql`${sql.lit(instant.toISOString())}::timestamptz`;
  return sql`(select movie_id from serving.blocked_items
    where since <= ${at} and (lifted_at is null or lifted_at > ${at}))`;
}

export async function readBlockedAt(db: Db, instant: Date): Promise<Set<number>> {
  const { rows } = await sql<{ movie_id: number }>`${blockedAt(instant)}`.execute(db);
  return new Set(rows.map(({ movie_id }) => movie_id));
}

/** Blocks a movie from now on. @returns false where it is blocked already */
export async function blockMovie(
  db: Db,
  block: { movie_id: number; reason: string; actor: string },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('serving.blocked_items')
    .values(block)
    .onConflict((conflict) => conflict.column('movie_id').where('lifted_at', 'is', null).doNothing())
    .executeTakeFirstOrThrow();
  return (numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** Lifts the block of a movie; its row stays. @returns false where it is not blocked */
export async function unblockMovie(
  db: Db,
  { movie_id, reason, actor }: { movie_id: number; reason: string | null; actor: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('serving.blocked_items')
    .set({ lifted_at: sql`clock_timestamp()`, lifted_by: actor, lifted_reason: reason })
    .where('movie_id', '=', movie_id)
    .where('lifted_at', 'is', null)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Every block, those that hold first and the newest of them on top; titles by what is published. */
export function blockedMovies(db: Db, options: { lifted: boolean }) {
  return db
    .selectFrom('serving.blocked_items as b')
    .leftJoin('serving.movie_stats as m', 'm.movie_id', 'b.movie_id')
    .$if(!options.lifted, (query) => query.where('b.lifted_at', 'is', null))
    .orderBy(sql`b.lifted_at is not null`)
    .orderBy('b.since', 'desc')
    .select(['b.movie_id', 'm.title', 'b.reason', 'b.actor', 'b.since'])
    .select(['b.lifted_at', 'b.lifted_by', 'b.lifted_reason'])
    .execute();
}

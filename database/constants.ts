/** Values that stand in a statement as constants. */

import { type RawBuilder, sql } from 'kysely';
import type { Db } from './connect.ts';

/** An instant that is known before the statement is. */
export function instant(at: Date): RawBuilder<Date> {
  return sql`${sql.lit(at.toISOString())}::timestamptz`;
}

/**
 * The ids that a query of one column gives, as an array, in text for whichever server it is sent to. Of the type of what it
 * is compared with: PostgreSQL looks constants up in a hash table where both sides hash alike, and goes through any other
 * array for every row.
 */
export async function constantIds(
  db: Db,
  ids: RawBuilder<unknown>,
  type: 'integer' | 'bigint',
): Promise<string> {
  const { rows } = await sql<{ ids: string }>`
    select coalesce(string_agg(id::text, ','), '') as ids from (${ids}) q (id)`.execute(db);
  return `'{${rows[0].ids}}'::${type}[]`;
}

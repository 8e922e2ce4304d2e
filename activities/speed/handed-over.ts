/** What one part of a pass leaves for the other: the ratings of its changed users, in a table that ends with it. */

import { sql } from 'kysely';
import type { Connection } from '../../database/connect.ts';
import { setLocal, transaction } from '../../database/session.ts';

/** Name of the table of a pass. */
export function ratingsTable(pass: number): string {
  return `speed.ratings_pass${pass}`;
}

/** Whoever still reads one of a pass that is over keeps it to the next time. */
const PATIENCE = '1s';

/** Drops the tables of the passes before `end`, of those that were given up too. */
export async function dropHandedOver(connection: Connection, end: number): Promise<void> {
  const { rows } = await sql<{ pass: number }>`
    select substring(relname from '[0-9]+$')::integer as pass from pg_class
    where relnamespace = 'speed'::regnamespace and relname ~ '^ratings_pass[0-9]+$'`.execute(connection.db);
  const over = rows.map(({ pass }) => pass).filter((pass) => pass < end);
  for (const pass of over) {
    await transaction(connection, async ({ db }) => {
      await setLocal(db, { lock_timeout: PATIENCE });
      await sql`drop table if exists ${sql.table(ratingsTable(pass))}`.execute(db);
    }).catch((error: unknown) => {
      const LOCK_NOT_AVAILABLE = '55P03';
      if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    });
  }
}

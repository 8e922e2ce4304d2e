import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { STORE_TABLES } from './store-tables.ts';

/** What a reader who holds on to a transaction may put a publish off by. */
const PATIENCE_MILLISECONDS = 5_000;

const POLL_MILLISECONDS = 20;

/**
 * Waits until every statement that may have been planned before the version's tables were attached has ended. PostgreSQL
 * chooses the partitions of a statement when it plans it, and what the statement sees when it executes it: one that is
 * held up in between, on a busy machine, would see the pointer moved to partitions that its plan does not have, and
 * answer nothing. Whoever plans holds a lock on the tables from before to the end.
 */
export async function awaitOlderPlans({ db }: Connection, signal: AbortSignal): Promise<void> {
  const older = await holders(db);
  for (let waited = 0; older.length > 0 && waited < PATIENCE_MILLISECONDS; waited += POLL_MILLISECONDS) {
    const now = new Set(await holders(db));
    if (!older.some((holder) => now.has(holder))) return;
    await setTimeout(POLL_MILLISECONDS, undefined, { signal });
  }
}

/** Transactions that hold a lock on one of the readers' tables. */
async function holders(db: Db): Promise<string[]> {
  const { rows } = await sql<{ holder: string }>`
    select distinct virtualtransaction as holder from pg_locks
    where locktype = 'relation' and pid <> pg_backend_pid()
      and database = (select oid from pg_database where datname = current_database())
      and relation in (${sql.join(STORE_TABLES.map((table) => sql`${table}::regclass`))})`.execute(db);
  return rows.map(({ holder }) => holder);
}

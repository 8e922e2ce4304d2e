import type { Connection } from '../../database/connect.ts';
import { databaseId } from '../../database/readers.ts';
import { terminalFailure } from './failures.ts';

/**
 * Looks whether the caller means the database that this worker has.
 * @throws InvalidRequest where it means another one
 */
export async function assertMeant({ db }: Connection, database: string | undefined): Promise<void> {
  if (database === undefined || database === (await databaseId(db))) return;
  throw terminalFailure(
    'InvalidRequest',
    'the worker on this Temporal server works for another database than DATABASE_URL names; expected the same one',
  );
}

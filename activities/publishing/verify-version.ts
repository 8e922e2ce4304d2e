import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { type PublishedVersion, findTarget } from '../../database/served-versions.ts';
import { transaction } from '../../database/session.ts';
import { rowsOf } from '../../database/versions.ts';
import { exportedWidth } from '../../recommender/index.ts';
import { readSelection } from '../selection/result.ts';
import { assertMeant } from '../support/database.ts';
import { terminalFailure } from '../support/failures.ts';
import { missingTables } from './pointer.ts';
import { MODEL_TABLES } from './store-tables.ts';

export interface VerifyVersionInput {
  /** Run or name of a kept version; the one that was served before where it is left out. */
  to?: string;
  /** As in `RollbackRequest`. */
  from?: number;
  /** As in `NightlyRequest`. */
  database?: string;
}

export interface VerifiedVersion {
  run: number;
  asOf: string;
  modelVersion: string;
  /** The run whose version readers saw when it was asked for. */
  served: number;
  rows: number;
  note: string;
}

/**
 * Finds the version to roll back to, and looks whether it can be served: all its tables there, as many rows as it was
 * published with, factors finite and as wide as its configuration makes them.
 * @throws InvalidRequest where there is no such version or it is retired, RollbackRefused where it is not whole
 */
export async function verifyVersion(
  connection: Connection,
  { to, from, database }: VerifyVersionInput,
  signal: AbortSignal,
): Promise<VerifiedVersion> {
  const { db } = connection;
  await assertMeant(connection, database);
  const found = await findTarget(db, to);
  if ('refusal' in found) throw terminalFailure('InvalidRequest', found.refusal);
  const { target, served } = found;
  const verified = { run: target.run, modelVersion: target.model_version, served: from ?? served.run };
  const asOf = await asOfOf(db, target.run);
  // Readers see it: there is nothing to move, and nothing to find out.
  if (target.served) return { ...verified, asOf, rows: 0, note: 'it is what is served' };
  await assertAttached(db, target);
  const counts = await Promise.all(
    MODEL_TABLES.map((table) => countRows(connection, table, target.run, signal)),
  );
  const problems = [...counts.flatMap(({ problem }) => problem ?? [])];
  problems.push(...(await factorProblems(connection, target.run, signal)));
  if (problems.length > 0) throw notWhole(target, problems.join('; '));
  const rows = counts.reduce((sum, count) => sum + count.rows, 0);
  return { ...verified, asOf, rows, note: `${target.model_version} is whole` };
}

async function asOfOf(db: Db, run: number): Promise<string> {
  const { as_of } = await db
    .selectFrom('pipeline.runs')
    .select('as_of')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  return as_of.toISOString();
}

/** @throws RollbackRefused where a table of the version is not there */
export async function assertAttached(
  db: Db,
  version: Pick<PublishedVersion, 'run' | 'model_version'>,
): Promise<void> {
  const missing = await missingTables(db, MODEL_TABLES, version.run);
  if (missing.length > 0) throw notWhole(version, `no ${missing.join(', ')} of it`);
}

function notWhole(version: Pick<PublishedVersion, 'run' | 'model_version'>, problem: string) {
  return terminalFailure(
    'RollbackRefused',
    `rollback to run ${version.run}: ${version.model_version} cannot be served: ${problem}; what is served stays, choose another version`,
  );
}

/** The rows of one table, in one view with what is recorded of them. */
async function countRows(
  connection: Connection,
  table: (typeof MODEL_TABLES)[number],
  run: number,
  signal: AbortSignal,
): Promise<{ rows: number; problem?: string }> {
  const { rows } = await transaction(
    connection,
    ({ db }) =>
      sql<{ rows: number; recorded: number | null }>`
        select (select count(*) from ${rowsOf(table, run)}) as rows,
               (select rows from serving.version_rows where run = ${run} and table_name = ${table}) as recorded`.execute(
        db,
      ),
    { signal },
  );
  const [{ rows: counted, recorded }] = rows;
  if (counted === 0) return { rows: 0, problem: `${table} is empty` };
  if (counted === recorded) return { rows: counted };
  return { rows: counted, problem: `${table} has ${counted} rows, ${recorded ?? 'none'} are recorded` };
}

async function factorProblems(connection: Connection, run: number, signal: AbortSignal): Promise<string[]> {
  const { parameters } = await readSelection(connection.db, run);
  const width = exportedWidth(parameters);
  const looked = await Promise.all(
    (['store.user_factors', 'store.item_factors'] as const).map(async (table) => {
      const { rows } = await transaction(
        connection,
        ({ db }) =>
          sql<{ uneven: number; infinite: number }>`
            select count(*) filter (where cardinality(factors) <> ${width}) as uneven,
                   count(*) filter (where factors && array['NaN', 'Infinity', '-Infinity']::real[]) as infinite
            from ${rowsOf(table, run)}`.execute(db),
        { signal },
      );
      const [{ uneven, infinite }] = rows;
      return [
        ...(uneven > 0 ? [`${uneven} rows of ${table} are not ${width} wide`] : []),
        ...(infinite > 0 ? [`${infinite} rows of ${table} are not finite`] : []),
      ];
    }),
  );
  return looked.flat();
}

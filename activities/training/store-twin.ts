import { sql } from 'kysely';
import { copyIn } from '../../database/copy.ts';
import { type RowColumn, encodeRows } from '../../database/copy-binary.ts';
import type { Db } from '../../database/connect.ts';
import { type Session, setLocal } from '../../database/session.ts';
import {
  type Configuration,
  type Evaluation,
  type SampledLists,
  abGroup,
  configurationKey,
  createLookup,
} from '../../recommender/index.ts';
import { type Twin, metricColumns } from './twin.ts';

/**
 * Keeps the metrics of a twin, also by user.
 * @param test the ad-hoc A/B test that measured it; null where the run itself did. What is there then stays: equal
 *   configurations on one snapshot give equal twins.
 * @returns the number of users
 */
export async function storeTwin(
  session: Session,
  run: number,
  configuration: Configuration,
  twin: Twin,
  test: string | null,
): Promise<number> {
  const key = configurationKey(configuration);
  // A run that was re-opened finds what a test has measured on its snapshot meanwhile.
  if (test === null && (await takeOver(session.db, run, key))) return twin.evaluation.byUser.userIds.length;
  const insert = session.db.insertInto('experiments.evaluations').values({
    run,
    configuration: key,
    parameters: JSON.stringify(configuration),
    training_size: twin.trainingSize,
    ...metricColumns(twin.evaluation),
    factors_checksum: twin.checksum,
    training_seconds: twin.trainingSeconds,
    test_id: test,
  });
  const { numInsertedOrUpdatedRows: added } = await (
    test === null ? insert : insert.onConflict((conflict) => conflict.doNothing())
  ).executeTakeFirst();
  // Whoever added the row adds the users' in the same transaction.
  return added === 0n ? 0 : writeUserMetrics(session, run, key, twin.evaluation);
}

/** Makes the twin of an ad-hoc A/B test the run's own: equal configurations on one snapshot give equal twins. */
async function takeOver(db: Db, run: number, configuration: string): Promise<boolean> {
  const taken = await db
    .updateTable('experiments.evaluations')
    .set({ test_id: null })
    .where('run', '=', run)
    .where('configuration', '=', configuration)
    .where('test_id', 'is not', null)
    .executeTakeFirst();
  return taken.numUpdatedRows > 0n;
}

/** By COPY into the table itself, which takes half as long as an INSERT of what a COPY has brought before. */
async function writeUserMetrics(
  { db, client }: Session,
  run: number,
  configuration: string,
  { byUser, lists }: Evaluation,
): Promise<number> {
  const users = byUser.userIds;
  const columns: Record<string, RowColumn> = {
    run: { type: 'int4', values: new Int32Array(users.length).fill(run) },
    configuration: {
      type: 'text',
      values: new Int8Array(users.length),
      texts: [Buffer.from(configuration)],
    },
    user_id: { type: 'int4', values: users },
    ab_group: {
      type: 'text',
      values: Int8Array.from(users, (user) => (abGroup(user) === 'B' ? 1 : 0)),
      texts: [Buffer.from('A'), Buffer.from('B')],
    },
    scored: { type: 'int4', values: byUser.scored },
    squared_error: { type: 'float8', values: byUser.squaredError },
    absolute_error: { type: 'float8', values: byUser.absoluteError },
    relevant: { type: 'int4', values: byUser.relevant },
    precision_at_10: { type: 'float8', values: byUser.precision },
    ndcg_at_10: { type: 'float8', values: byUser.ndcg },
    recall_at_10: { type: 'float8', values: byUser.recall },
    average_precision_at_10: { type: 'float8', values: byUser.averagePrecision },
    ...(lists === null ? {} : { listed: { type: 'int4[]', values: listOfEach(users, lists), ...lists } }),
  };
  await copyIn(
    client,
    { table: 'experiments.user_metrics', columns: Object.keys(columns), options: 'format binary' },
    encodeRows(Object.values(columns), users.length),
  );
  // Comparisons come next, and the planner has not heard of these rows: it would join them in a loop, for minutes.
  await setLocal(db, { default_statistics_target: '10' });
  await sql`analyze experiments.user_metrics (run, configuration, user_id)`.execute(db);
  return users.length;
}

/** The place of each user's list among those of a sample, -1 where it has none; both are by ascending user. */
function listOfEach(users: Int32Array, { ids }: SampledLists): Int32Array {
  const listOf = createLookup(ids);
  return users.map((user) => listOf(user));
}

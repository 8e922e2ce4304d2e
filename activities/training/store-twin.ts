import { sql } from 'kysely';
import { copyIn } from '../../database/copy.ts';
import { type WireColumn, encodeRows } from '../../database/copy-binary.ts';
import type { Db } from '../../database/connect.ts';
import { type Session, setLocal } from '../../database/session.ts';
import {
  type Configuration,
  type Evaluation,
  type SampledLists,
  abGroup,
  configurationKey,
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

/** Through temporary tables, because what is the same in all rows need not be sent with each. */
async function writeUserMetrics(
  session: Session,
  run: number,
  configuration: string,
  { byUser, lists }: Evaluation,
): Promise<number> {
  const { db, client } = session;
  await sendLists(session, lists);
  await sql`
    create temporary table incoming_user_metrics (
      user_id integer, in_b smallint, scored integer, squared_error float8, absolute_error float8,
      relevant integer, precision_at_10 float8, ndcg_at_10 float8, recall_at_10 float8,
      average_precision_at_10 float8
    ) on commit drop`.execute(db);
  const columns: Record<string, WireColumn> = {
    user_id: { type: 'int4', values: byUser.userIds },
    in_b: {
      type: 'int2',
      values: Int8Array.from(byUser.userIds, (user) => (abGroup(user) === 'B' ? 1 : 0)),
    },
    scored: { type: 'int4', values: byUser.scored },
    squared_error: { type: 'float8', values: byUser.squaredError },
    absolute_error: { type: 'float8', values: byUser.absoluteError },
    relevant: { type: 'int4', values: byUser.relevant },
    precision_at_10: { type: 'float8', values: byUser.precision },
    ndcg_at_10: { type: 'float8', values: byUser.ndcg },
    recall_at_10: { type: 'float8', values: byUser.recall },
    average_precision_at_10: { type: 'float8', values: byUser.averagePrecision },
  };
  await copyIn(
    client,
    { table: 'incoming_user_metrics', columns: Object.keys(columns), options: 'format binary' },
    encodeRows(Object.values(columns), byUser.userIds.length),
  );
  await sql`
    insert into experiments.user_metrics (run, configuration, user_id, ab_group, scored, squared_error, absolute_error,
      relevant, precision_at_10, ndcg_at_10, recall_at_10, average_precision_at_10, listed)
    select ${run}, ${configuration}, user_id, case in_b when 1 then 'B' else 'A' end, scored, squared_error,
           absolute_error, relevant, precision_at_10, ndcg_at_10, recall_at_10, average_precision_at_10, listed
    from incoming_user_metrics left join (
      select user_id, array_agg(movie_id order by place) as listed from incoming_lists group by user_id
    ) lists using (user_id)`.execute(db);
  // Comparisons come next, and the planner has not heard of these rows: it would join them in a loop, for minutes.
  await setLocal(db, { default_statistics_target: '10' });
  await sql`analyze experiments.user_metrics (run, configuration, user_id)`.execute(db);
  return byUser.userIds.length;
}

/** An entry a row. */
async function sendLists({ db, client }: Session, lists: SampledLists | null): Promise<void> {
  await sql`
    create temporary table incoming_lists (user_id integer, place integer, movie_id integer) on commit drop`.execute(
    db,
  );
  if (lists === null) return;
  const { ids, counts, capacity, items } = lists;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const [users, places, movies] = [new Int32Array(rows), new Int32Array(rows), new Int32Array(rows)];
  let row = 0;
  ids.forEach((user, list) => {
    for (let place = 0; place < counts[list]; place++, row++) {
      users[row] = user;
      places[row] = place;
      movies[row] = items[list * capacity + place];
    }
  });
  const columns: Record<string, WireColumn> = {
    user_id: { type: 'int4', values: users },
    place: { type: 'int4', values: places },
    movie_id: { type: 'int4', values: movies },
  };
  await copyIn(
    client,
    { table: 'incoming_lists', columns: Object.keys(columns), options: 'format binary' },
    encodeRows(Object.values(columns), rows),
  );
}

import { sql } from 'kysely';
import { copyIn } from '../../database/copy.ts';
import { type WireType, encodeRows } from '../../database/copy-binary.ts';
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

const USER_METRIC_TYPES: WireType[] = [
  'int4',
  'int2',
  'int4',
  'float8',
  'float8',
  'int4',
  'float8',
  'float8',
  'float8',
  'float8',
];

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
  const columns = [
    byUser.userIds,
    Int8Array.from(byUser.userIds, (user) => (abGroup(user) === 'B' ? 1 : 0)),
    byUser.scored,
    byUser.squaredError,
    byUser.absoluteError,
    byUser.relevant,
    byUser.precision,
    byUser.ndcg,
    byUser.recall,
    byUser.averagePrecision,
  ];
  await copyIn(
    client,
    {
      table: 'incoming_user_metrics',
      columns: [
        'user_id',
        'in_b',
        'scored',
        'squared_error',
        'absolute_error',
        'relevant',
        'precision_at_10',
        'ndcg_at_10',
        'recall_at_10',
        'average_precision_at_10',
      ],
      options: 'format binary',
    },
    encodeRows(USER_METRIC_TYPES, byUser.userIds.length, (row, column) => columns[column][row]),
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
  const entries: number[] = [];
  ids.forEach((user, list) => {
    for (let place = 0; place < counts[list]; place++)
      entries.push(user, place, items[list * capacity + place]);
  });
  await copyIn(
    client,
    { table: 'incoming_lists', columns: ['user_id', 'place', 'movie_id'], options: 'format binary' },
    encodeRows(['int4', 'int4', 'int4'], entries.length / 3, (row, column) => entries[3 * row + column]),
  );
}

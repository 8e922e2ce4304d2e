import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { configurationKey } from '../../recommender/index.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, type Stages, createStages, measureNight, publishNight } from '../../test/support/stages.ts';
import { churnOfTwins, churnOfVersions } from './churn.ts';

let database: TestDatabase;
let stages: Stages;
beforeAll(async () => {
  database = await createTestDatabase();
  stages = createStages(database);
  await fillSource(database, 30, 20);
});
afterAll(() => database.drop());

describe('by hand', () => {
  const query = (text: string) => database.pool.query(text);

  test('of twins: 1 minus the mean Jaccard similarity, over users who have both lists', async () => {
    await query(`
      insert into experiments.user_metrics
        (run, configuration, user_id, ab_group, scored, squared_error, absolute_error, relevant, listed)
      select 9001, configuration, user_id, 'A', 0, 0, 0, 0, listed::integer[]
      from (values ('a', 1, '{1,2,3}'), ('b', 1, '{3,1,2}'), ('a', 2, '{1,2,3}'), ('b', 2, '{3,4}'),
                   ('a', 3, '{1}'), ('b', 3, null), ('a', 4, '{1}'), ('c', 4, '{1}')) v (configuration, user_id, listed)`);
    // The same three in another order; one of four.
    expect(await churnOfTwins(database.db, 9001, 'a', 'b')).toEqual({ churn: 1 - (1 + 1 / 4) / 2, users: 2 });
    expect(await churnOfTwins(database.db, 9001, 'b', 'c')).toBeNull();
  });

  test('of versions: the first 20 places of users who are in both', async () => {
    await version(9001, `(1, 1, 1), (1, 2, 2), (2, 1, 1), (2, 2, 2), (2, 21, 3), (3, 1, 1)`);
    await version(9002, `(1, 1, 2), (1, 2, 1), (2, 1, 2), (2, 2, 9), (2, 3, 3), (4, 1, 1)`);
    expect(await churnOfVersions(database.db, 9002, 9001)).toEqual({ churn: 1 - (1 + 1 / 4) / 2, users: 2 });
    await version(9003, `(8, 1, 1)`);
    expect(await churnOfVersions(database.db, 9003, 9001)).toBeNull();
  });

  test('of many users: of some at equal distances, whatever the pattern of their ids', async () => {
    const lists = `select u * 6, 1, u % 7 from generate_series(1, 25000) u`;
    await version(9004, lists);
    await version(9005, lists.replace('u % 7', 'case when u % 2 = 0 then u % 7 else 99 end'));
    expect(await churnOfVersions(database.db, 9005, 9004)).toEqual({ churn: 0.5, users: 8334 });
  });

  async function version(run: number, rows: string): Promise<void> {
    const entries = rows.startsWith('select') ? rows : `values ${rows}`;
    await query(`
      create table store.batch_recs_run${run} partition of store.batch_recs for values in (${run});
      insert into store.batch_recs (run, user_id, rank, movie_id, predicted_score)
      select ${run}, user_id, rank, movie_id, 1 from (${entries}) l (user_id, rank, movie_id)`);
  }
});

describe('a night', () => {
  let run: number;
  let champion: string;
  let challenger: string;
  beforeAll(async () => {
    await publishNight(database, '2026-01-28T00:00:00Z');
    const { rows } = await database.pool.query<{ configuration: string }>(
      'select configuration from models.champions where retired_at is null',
    );
    champion = rows[0].configuration;
    const keys = [3, 4].map((rank) =>
      configurationKey({ family: 'als', rank, iterations: 4, regularization: 0.1, seed: 42 }),
    );
    challenger = keys.find((key) => key !== champion) ?? '';
  });

  let night = 0;
  beforeEach(async () => {
    run = await insertRun(database, {
      asOf: new Date(Date.UTC(2026, 1, 1, 0, 0, night++)).toISOString(),
      overrides: SMALL,
    });
    await measureNight(stages, run);
    // A challenger that is better beyond doubt.
    await database.pool.query(
      `update experiments.user_metrics set squared_error = squared_error / 4 where run = $1 and configuration = $2`,
      [run, challenger],
    );
    await database.pool.query(
      `update experiments.evaluations set rmse = rmse / 2 where run = $1 and configuration = $2`,
      [run, challenger],
    );
    await database.pool.query('delete from experiments.comparisons where run = $1', [run]);
  });

  afterEach(() => closeRun(database, run, 'failed'));

  /** Makes the challenger's lists what this SQL says. */
  const list = (listed: string) =>
    database.pool.query(
      `update experiments.user_metrics set listed = ${listed} where run = $1 and configuration = $2 and listed is not null`,
      [run, challenger],
    );

  test('the first one has nothing that its lists could be held against', async () => {
    const { rows } = await database.pool.query(
      `select status, message from quality.check_results where check_name = 'list_churn' order by run limit 1`,
    );
    expect(rows).toEqual([{ status: 'skipped', message: 'list_churn: skipped: no lists are served yet' }]);
  });

  test('promotes what keeps enough of the lists, and keeps how much', async () => {
    await list('listed[2:] || 1001');
    const measured = await churnOfTwins(database.db, run, champion, challenger);
    expect(measured?.churn).toBeGreaterThan(0.1);
    const decided = await stages.selectModel({ run });
    expect(decided).toMatchObject({
      decision: 'promotion',
      configuration: challenger,
      numbers: { churn: measured?.churn },
    });
    expect(decided.reason).toMatch(/the churn of its lists is 0\.\d{3} over 20 users/);
  });

  test('keeps the champion where the challenger, though better, would change nearly every entry', async () => {
    await list(`'{1001,1002,1003}'`);
    const decided = await stages.selectModel({ run });
    expect(decided).toMatchObject({ decision: 'refresh', configuration: champion, numbers: { churn: 1 } });
    expect(decided.reason).toContain(
      'the churn of its lists is 1.000 over 20 users, more than the 0.8 allowed',
    );
  });
});

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot } from '../../test/support/stages.ts';

let database: TestDatabase;
let run: number;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 10, 10);
});
afterEach(() => closeRun(database, run));
afterAll(() => database.drop());

let day = 1;
/** A night that has found something, started so many days ago. */
async function night(daysAgo: number, sample: unknown[], overrides: string[] = []): Promise<number> {
  run = await insertRun(database, {
    asOf: new Date(Date.UTC(2026, 2, day++)).toISOString(),
    overrides: [...SMALL, ...overrides],
  });
  await database.pool.query(
    `update pipeline.runs set started_at = now() - $2 * interval '1 day' where run = $1`,
    [run, daysAgo],
  );
  await database.pool.query(
    `insert into quality.check_results (run, check_name, scope, severity, status, expected, message, sample)
     values ($1, 'duplicates', 'bronze', 'warn', 'warned', '', '', $2)`,
    [run, JSON.stringify(sample)],
  );
  await database.pool.query(`insert into quality.source_statistics values ($1, 'ratings', 1)`, [run]);
  return run;
}

async function samples(): Promise<Record<number, unknown[]>> {
  const { rows } = await database.pool.query<{ run: number; sample: unknown[] }>(
    'select run, sample from quality.check_results order by run',
  );
  return Object.fromEntries(rows.map((row) => [row.run, row.sample]));
}

test('results, statistics and samples are kept as long as the settings say', async () => {
  const found = ['no column'];
  const old = await night(31, found);
  await closeRun(database, old);
  const kept = await night(29, found);
  await closeRun(database, kept);
  const yesterday = await night(1, found);
  await closeRun(database, yesterday);
  const tonight = await night(0, found, ['retention.checkResultsDays=30', 'retention.sampleNights=2']);
  await makeSnapshot(createStages(database), run);
  await createStages(database).retireVersions({ run });

  expect(await samples()).toEqual({ [kept]: [], [yesterday]: found, [tonight]: found });
  const { rows } = await database.pool.query('select run from quality.source_statistics order by run');
  expect(rows).toEqual([{ run: kept }, { run: yesterday }, { run: tonight }]);
});

test('who is gone from the source is gone from kept samples', async () => {
  const { rows } = await database.pool.query<{ user_id: number; movie_id: number }>(
    'select user_id, movie_id from movielens.ratings where user_id in (1, 2) order by user_id limit 30',
  );
  const one = rows.find(({ user_id }) => user_id === 1);
  const [two, other] = rows.filter(({ user_id }) => user_id === 2);
  const nobody = { user_id: null, movie_id: 3 };
  const aggregate = { user_id: 2, ratings: 2 };
  const before = await night(1, [
    one,
    two,
    other,
    nobody,
    aggregate,
    { user_id: 1e20, movie_id: 1 },
    'a sentence',
  ]);
  await closeRun(database, before);
  await database.pool.query('delete from movielens.ratings where user_id = 1');
  await database.pool.query('delete from movielens.ratings where user_id = 2 and movie_id = $1', [
    other.movie_id,
  ]);
  await night(0, []);
  await makeSnapshot(createStages(database), run);
  await createStages(database).retireVersions({ run });

  expect((await samples())[before]).toEqual([two, nobody, aggregate, 'a sentence']);
});

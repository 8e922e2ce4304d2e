import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, evaluateNight } from '../../test/support/stages.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 40, 30);
});
afterAll(() => database.drop());

const held = (user: number, movie: number): boolean => crc32(`${user}:${movie}:42`) % 5 === 0;

async function evaluated(asOf: string) {
  const run = await insertRun(database, { asOf, overrides: SMALL });
  const stages = createStages(database);
  await evaluateNight(stages, run);
  await stages.refitModel({ run });
  await closeRun(database, run);
  const twins = await database.db
    .selectFrom('experiments.evaluations')
    .select(['configuration', 'factors_checksum', 'training_size', 'dropped', 'rmse'])
    .where('run', '=', run)
    .orderBy('configuration')
    .execute();
  const split = await database.db
    .selectFrom('gold.splits')
    .selectAll()
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  return { run, twins, split };
}

test('no twin has seen the holdout: a tell-tale planted there changes nothing that it learned', async () => {
  const before = await evaluated('2026-02-01T00:00:00Z');

  // Every held-out rating is turned over, and a user is added whose every rating is held out.
  const { rows } = await database.pool.query<{ user_id: number; movie_id: number }>(
    'select user_id, movie_id from movielens.ratings',
  );
  for (const { user_id, movie_id } of rows.filter((row) => held(row.user_id, row.movie_id))) {
    await database.pool.query(
      'update movielens.ratings set rating = 5.5 - rating where user_id = $1 and movie_id = $2',
      [user_id, movie_id],
    );
  }
  const telltale = 7_777;
  const movies = Array.from({ length: 30 }, (_, at) => at + 1).filter((movie) => held(telltale, movie));
  expect(movies.length).toBeGreaterThan(0);
  for (const movie of movies) {
    await database.pool.query(`insert into movielens.ratings values ($1, $2, 5, '2026-01-15')`, [
      telltale,
      movie,
    ]);
  }

  const after = await evaluated('2026-02-02T00:00:00Z');
  // The plant took: the holdout is another one, larger by the tell-tale's ratings, and the train part is not.
  expect(after.split.holdout_checksum).not.toBe(before.split.holdout_checksum);
  expect(after.split.holdout).toBe(before.split.holdout + movies.length);
  expect(after.split.train_checksum).toBe(before.split.train_checksum);

  expect(before.twins).toHaveLength(3);
  for (const [at, twin] of after.twins.entries()) {
    expect(twin.factors_checksum).toBe(before.twins[at].factors_checksum);
    expect(twin.training_size).toBe(before.twins[at].training_size);
    expect(twin.dropped).toBe(before.twins[at].dropped + movies.length);
  }
  const als = after.twins.filter(({ rmse }) => rmse !== null);
  als.forEach((twin, at) => expect(twin.rmse).not.toBe(before.twins[at].rmse));

  // The version to be served has seen it.
  const served = await database.db
    .selectFrom('store.user_factors')
    .select('user_id')
    .where('run', '=', after.run)
    .where('user_id', '=', telltale)
    .execute();
  expect(served).toHaveLength(1);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AlsConfiguration,
  type Model,
  type RatingTriples,
  type StartFactors,
  buildRatingMatrix,
  configurationKey,
  splitRatings,
  trainModel,
} from '../../recommender/index.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, createStages, evaluateNight } from '../../test/support/stages.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 40, 30);
});
afterAll(() => database.drop());

const query = async <Row extends object>(text: string, values: unknown[] = []) =>
  (await database.pool.query<Row>(text, values)).rows;

/** The snapshot's ratings in shared memory, where threads split them. */
async function readSnapshot(): Promise<RatingTriples> {
  const rows = await query<{ user_id: number; movie_id: number; rating: number }>(
    'select user_id, movie_id, rating from silver.ratings',
  );
  const bytes = (): SharedArrayBuffer => new SharedArrayBuffer(4 * rows.length);
  const columns = {
    users: new Int32Array(bytes()),
    items: new Int32Array(bytes()),
    ratings: new Float32Array(bytes()),
  };
  rows.forEach(({ user_id, movie_id, rating }, at) => {
    columns.users[at] = user_id;
    columns.items[at] = movie_id;
    columns.ratings[at] = rating;
  });
  return columns;
}

const factorsOf = ({ itemIds, itemFactors, rank }: Model) =>
  [...itemIds].map((movie_id, item) => ({
    movie_id,
    factors: [...itemFactors.subarray(item * rank, (item + 1) * rank)],
  }));

test('a refit goes on where its twin stood three iterations before the end; without that it begins at the seed', async () => {
  const run = await insertRun(database, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
  const stages = createStages(database);
  await evaluateNight(stages, run);
  const [{ parameters }] = await query<{ parameters: AlsConfiguration }>(
    `select result -> 'parameters' as parameters from pipeline.stages where stage = 'select'`,
  );
  const stored = async () =>
    (
      await query<{ movie_id: number; factors: number[] }>(
        'select movie_id, factors from store.item_factors order by movie_id',
      )
    ).map(({ movie_id, factors }) => ({ movie_id, factors: factors.map(Math.fround) }));

  const all = await readSnapshot();
  const train = await splitRatings(all, 42);
  let start: StartFactors | undefined;
  const of = (part: RatingTriples) => buildRatingMatrix(part);
  await trainModel(
    await of({
      users: all.users.slice(0, train),
      items: all.items.slice(0, train),
      ratings: all.ratings.slice(0, train),
    }),
    parameters,
    { threads: 1, handOver: { after: parameters.iterations - 3, take: (factors) => (start = factors) } },
  );
  const expected = await trainModel(await of(all), { ...parameters, iterations: 3 }, { threads: 1, start });
  await stages.refitModel({ run });
  expect(await stored()).toEqual(factorsOf(expected));

  await database.pool.query(
    `update pipeline.stages set status = 'undone', token = token + 1 where stage = 'refit';
     delete from experiments.refit_starts where configuration = '${configurationKey(parameters)}';
     drop table store.user_factors_run${run}, store.item_factors_run${run}`,
  );
  await stages.refitModel({ run });
  expect(await stored()).toEqual(factorsOf(await trainModel(await of(all), parameters, { threads: 1 })));
});

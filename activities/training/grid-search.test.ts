import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelConfiguration } from '../../config/settings.ts';
import { dropPartition } from '../../database/versions.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import { SMALL, type Stages, createStages, makeSnapshot } from '../../test/support/stages.ts';
import type { BeginGridSearchInput } from './grid-search.ts';

let database: TestDatabase;
let stages: Stages;
let run: number;
beforeAll(async () => {
  database = await createTestDatabase();
  stages = createStages(database);
  await fillSource(database, 30, 20);
  run = await insertRun(database, { asOf: '2026-02-01T00:00:00Z', overrides: SMALL });
  await makeSnapshot(stages, run);
});
afterAll(() => database.drop());

const point = (rank: number, regularization = 0.1): ModelConfiguration => ({
  family: 'als',
  rank,
  iterations: 3,
  regularization,
  seed: 42,
});
/** More dimensions than ratings and as good as no penalty: no row's equations can be solved. */
const UNUSABLE = point(60, 1e-300);

const search = (workflowId: string, change: Partial<BeginGridSearchInput> = {}): BeginGridSearchInput => ({
  run,
  points: [point(3), point(4)],
  metric: 'rmse',
  workflowId,
  executionId: 'the-first',
  ...change,
});

const rowsOf = (found: number) =>
  database.db
    .selectFrom('experiments.grid_search_results')
    .selectAll()
    .where('search', '=', found)
    .orderBy('rank')
    .execute();

test('every activity that is run again returns what there is', async () => {
  const begun = await stages.beginGridSearch(search('again'));
  expect(begun).toMatchObject({ run, asOf: '2026-02-01T00:00:00.000Z' });
  expect(await stages.beginGridSearch(search('again'))).toEqual(begun);
  const other = await stages.beginGridSearch(search('again', { executionId: 'another', run: undefined }));
  expect(other).toEqual({ ...begun, note: `${begun.note}, asked for before` });

  const input = { search: begun.search, configuration: point(3) };
  const [first, atOnce] = await Promise.all([
    stages.evaluateGridPoint(input),
    stages.evaluateGridPoint(input),
  ]);
  const rows = await rowsOf(begun.search);
  expect(rows).toHaveLength(1);
  expect(atOnce).toEqual(first);
  expect(await stages.evaluateGridPoint(input)).toEqual(first);
  expect(await rowsOf(begun.search)).toEqual(rows);

  await expect(stages.finishGridSearch({ search: begun.search })).rejects.toThrow('a row of every point');
  await stages.evaluateGridPoint({ search: begun.search, configuration: point(4) });
  const outcome = await stages.finishGridSearch({ search: begun.search });
  const finished = await rowsOf(begun.search);
  expect(await stages.finishGridSearch({ search: begun.search })).toEqual(outcome);
  expect(await rowsOf(begun.search)).toEqual(finished);
  const { rows: searches } = await database.pool.query(
    'select best_configuration, finished_at is not null as finished from experiments.grid_searches',
  );
  expect(searches).toEqual([{ best_configuration: outcome.best.configuration, finished: true }]);
});

test('the workflow id of another search is refused', async () => {
  await stages.beginGridSearch(search('one-search'));
  for (const change of [{ metric: 'mae' as const }, { points: [point(3)] }, { run: run + 7 }]) {
    await expect(stages.beginGridSearch(search('one-search', change))).rejects.toMatchObject({
      type: 'InvalidRequest',
      nonRetryable: true,
      message: expect.stringMatching(/workflow one-search is grid search \d+ of run 1 with other/) as string,
    });
  }
});

test('a point is what the evaluation twin of the same configuration is', async () => {
  const { search: found } = await stages.beginGridSearch(search('twin', { points: [point(3)] }));
  await stages.evaluateGridPoint({ search: found, configuration: point(3) });
  await stages.evaluateTwin({ run, configuration: point(3) });
  const twin = await database.db
    .selectFrom('experiments.evaluations')
    .select(['configuration', 'parameters', 'training_size', 'factors_checksum'])
    .select(['rmse', 'mae', 'rmse_with_fallback', 'mae_with_fallback', 'precision_at_10', 'recall_at_10'])
    .select(['ndcg_at_10', 'map_at_10', 'coverage', 'users', 'predictions', 'dropped'])
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const [row] = await rowsOf(found);
  expect(row).toMatchObject({
    ...twin,
    family: 'als',
    rank: 3,
    iterations: 3,
    reg_param: 0.1,
    status: 'ok',
    reason: null,
  });
  const checkpoints = await database.db.selectFrom('pipeline.checkpoints').selectAll().execute();
  expect(checkpoints).toEqual([]);
});

test('a point without a usable model says so in its row; without any other the search fails', async () => {
  const { search: found } = await stages.beginGridSearch(search('unusable', { points: [UNUSABLE] }));
  const told = await stages.evaluateGridPoint({ search: found, configuration: UNUSABLE });
  expect(told).toMatchObject({ state: 'failed', note: expect.stringContaining('not finite') as string });
  expect(await stages.evaluateGridPoint({ search: found, configuration: UNUSABLE })).toEqual(told);
  expect(await rowsOf(found)).toMatchObject([
    { status: 'failed', reason: told.note, rmse: null, training_seconds: null, is_best: false },
  ]);
  for (let time = 0; time < 2; time++) {
    await expect(stages.finishGridSearch({ search: found })).rejects.toMatchObject({
      type: 'ModelUnusable',
      nonRetryable: true,
      message: expect.stringContaining('no point of 1 has the metric rmse') as string,
    });
  }
  const entered = await database.db
    .selectFrom('experiments.grid_searches')
    .select(['finished_at', 'best_configuration'])
    .where('search', '=', found)
    .executeTakeFirstOrThrow();
  expect(entered).toEqual({ finished_at: expect.any(Date) as Date, best_configuration: null });
});

test('what cannot be searched is refused before anything is entered', async () => {
  const implicit = { ...point(3), family: 'als-implicit' as const, alpha: 1 };
  const count = async () =>
    (await database.db.selectFrom('experiments.grid_searches').select('search').execute()).length;
  const before = await count();
  for (const [change, says] of [
    [{ points: [implicit] }, '--metric rmse: no point has it'],
    [{ points: Array.from({ length: 65 }, (_, at) => point(at + 1)) }, '65 points; expected 1 to 64'],
    [{ database: 'another' }, 'another database'],
  ] as const) {
    await expect(
      stages.beginGridSearch(search('refused', change as Partial<BeginGridSearchInput>)),
    ).rejects.toMatchObject({
      type: 'InvalidRequest',
      nonRetryable: true,
      message: expect.stringContaining(says) as string,
    });
  }
  // The only run is live: its snapshot may yet be refused, and is searched on only by name.
  for (const [wanted, says] of [
    [undefined, 'the snapshot of a run that came to its end is not kept'],
    [run + 7, `the snapshot of run ${run + 7} is not kept`],
  ] as const) {
    await expect(stages.beginGridSearch(search('refused', { run: wanted }))).rejects.toMatchObject({
      type: 'SnapshotGone',
      nonRetryable: true,
      message: expect.stringContaining(
        `${says}, expected one that is, and there are those of runs ${run};`,
      ) as string,
    });
  }
  expect(await count()).toBe(before);
});

test('a snapshot that a later night has dropped ends the search with a sentence', async () => {
  await closeRun(database, run);
  const { search: found } = await stages.beginGridSearch(search('gone', { run: undefined }));
  await stages.evaluateGridPoint({ search: found, configuration: point(3) });
  await dropPartition(database.db, 'silver.ratings', run);
  await expect(stages.evaluateGridPoint({ search: found, configuration: point(4) })).rejects.toMatchObject({
    type: 'SnapshotGone',
    nonRetryable: true,
    message: `grid search ${found}: the snapshot of run ${run} was dropped by a later night, expected it to be kept to the last point; search on a newer run`,
  });
  // What it has is there.
  expect(await stages.evaluateGridPoint({ search: found, configuration: point(3) })).toMatchObject({
    state: 'done',
  });
});

import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../database/connect.ts';
import { recommendationsFor, recommendationsFromFactors } from '../../database/readers.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource } from '../../test/support/source.ts';
import {
  SMALL,
  createStages,
  evaluateNight,
  prepareVersion,
  publishNight,
} from '../../test/support/stages.ts';

let database: TestDatabase;
const asOfOf = (night: number): string => new Date(Date.UTC(2026, 1, night)).toISOString();

beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 30, 20);
  await publishNight(database, asOfOf(1));
});
afterAll(() => database.drop());

const servedRun = async (): Promise<number> =>
  (await database.db.selectFrom('serving.pointer').select('model_run').executeTakeFirstOrThrow()).model_run;

const versions = async (): Promise<number[]> => {
  const { rows } = await database.pool.query<{ run: number }>(
    'select run from serving.versions where retired_at is null order by run',
  );
  return rows.map(({ run }) => run);
};

test('a predicted score is the dot product of the exported factors', async () => {
  const { rows } = await database.pool.query<{ user: string; item: string; score: number }>(`
    select u.features_json as user, i.features_json as item, b.predicted_score as score
    from recommendations.batch_recs b
    join models.user_factors u using (user_id) join models.item_factors i using (movie_id)`);
  expect(rows.length).toBeGreaterThan(100);
  for (const { user, item, score } of rows) {
    const [left, right] = [user, item].map((text) => (JSON.parse(text) as number[]).map(Math.fround));
    const product = left.reduce((sum, value, at) => sum + value * right[at], 0);
    expect(Math.abs(product - score)).toBeLessThanOrEqual(0.5e-4 + 1e-12);
  }
  // The text restores the 32-bit floats exactly.
  const stored = await database.pool.query<{ factors: number[]; features_json: string }>(`
    select s.factors::float8[] as factors, v.features_json from store.user_factors s join models.user_factors v using (user_id)`);
  for (const { factors, features_json } of stored.rows) {
    expect((JSON.parse(features_json) as number[]).map(Math.fround)).toEqual(factors);
  }
});

test('the list of a user is what its factors give, and who has none gets popular movies, then trending', async () => {
  const list = await recommendationsFor(database, 1, 20);
  expect(list.length).toBeGreaterThan(3);
  expect(list.map(({ provenance }) => provenance)).toEqual(list.map(() => 'als'));
  const again = await recommendationsFromFactors(database.db, 1, 20);
  expect(again.map(({ rank, movie_id, predicted_score }) => ({ rank, movie_id, predicted_score }))).toEqual(
    list.map(({ rank, movie_id, predicted_score }) => ({ rank, movie_id, predicted_score })),
  );

  const fallback = await recommendationsFor(database, 123_456, 5);
  const { rows } = await database.pool.query<{ movie_id: number }>(`
    select movie_id from movielens.ratings group by movie_id order by count(*) desc, movie_id limit 5`);
  expect(fallback.map(({ movie_id }) => movie_id)).toEqual(rows.map(({ movie_id }) => movie_id));
  expect(fallback[0]).toMatchObject({ rank: 1, provenance: 'popular', predicted_score: null });
});

test('lists are made of what the refit has left in memory, and of what is stored where that is of another attempt', async () => {
  const stages = createStages(database);
  const scoresOf = async (run: number): Promise<number[]> => {
    const { rows } = await database.pool.query<{ predicted_score: number }>(
      'select predicted_score from store.batch_recs where run = $1 order by user_id, rank',
      [run],
    );
    return rows.map((row) => row.predicted_score);
  };
  const scored: number[][] = [];
  for (const change of [
    '',
    'update store.item_factors set factors = array[9, 9, 9]::real[] where run = $1',
    `with others as (update pipeline.stages set token = token + 1 where run = $1 and stage = 'refit')
     update store.item_factors set factors = array[9, 9, 9]::real[] where run = $1`,
  ]) {
    const asOf = asOfOf(1).replace('T00:00', `T00:0${1 + scored.length}`);
    const run = await insertRun(database, { asOf, overrides: [...SMALL, 'ingestion.rebuild=true'] });
    await evaluateNight(stages, run);
    await stages.refitModel({ run });
    const { rows } = await database.pool.query<{ rank: number }>(
      'select cardinality(factors) as rank from store.item_factors where run = $1 limit 1',
      [run],
    );
    if (change !== '')
      await database.pool.query(change.replace('9, 9, 9', Array(rows[0].rank).fill(9).join()), [run]);
    await stages.scoreRecommendations({ run });
    scored.push(await scoresOf(run));
    await closeRun(database, run);
  }
  const [asTrained, changedBehind, ofAnother] = scored;
  expect(asTrained.length).toBeGreaterThan(100);
  expect(changedBehind).toEqual(asTrained);
  expect(ofAnother).not.toEqual(asTrained);
});

test('a publish waits for statements that may have been planned before its tables were there', async () => {
  const stages = createStages(database);
  const before = await servedRun();
  const run = await insertRun(database, { asOf: asOfOf(1).replace('T00', 'T01'), overrides: SMALL });
  await evaluateNight(stages, run);
  await prepareVersion(stages, run);
  const reader = await database.pool.connect();
  try {
    // A statement that has its locks and its plan, and no snapshot yet, looks to others as this transaction does.
    await reader.query('begin');
    await reader.query('lock table store.batch_recs in access share mode');
    const published = stages.publishVersion({ run });
    await setTimeout(500);
    expect(await servedRun()).toBe(before);
    await reader.query('commit');
    await published;
    expect(await servedRun()).toBe(run);
  } finally {
    reader.release();
  }
  await stages.retireVersions({ run });
  await closeRun(database, run);
});

test('ten publishes, and a reader of three tables never sees two versions, an error or nothing', async () => {
  const reader = connect({ url: database.url, applicationName: 'nightjar-reader', max: 2 });
  const seen = new Set<string>();
  const troubles: string[] = [];
  const reading = new AbortController();
  const readerLoop = (async () => {
    while (!reading.signal.aborted) {
      try {
        const { rows } = await reader.pool.query<{ seen: string[]; rows: number }>(`
          select count(*) as rows,
                 array_agg(distinct b.model_version || ' ' || s.model_version || ' ' || t.as_of) as seen
          from recommendations.batch_recs b
          join recommendations.similar_movies s on s.movie_id = b.movie_id and s.rank = 1
          join recommendations.trending t on t.rank = 1`);
        if (rows[0].rows === 0) troubles.push('nothing');
        else if (rows[0].seen.length !== 1) troubles.push(`several at once: ${rows[0].seen.join(', ')}`);
        else seen.add(rows[0].seen[0]);
      } catch (error) {
        troubles.push(String(error));
      }
    }
  })();
  const published = new Map<string, string>();
  try {
    for (let night = 2; night <= 11; night++) {
      const run = await publishNight(database, asOfOf(night));
      published.set(`als-rank4-run${run}`, asOfOf(night));
      published.set(`als-rank3-run${run}`, asOfOf(night));
    }
  } finally {
    reading.abort();
    await readerLoop;
    await reader.close();
  }
  expect(troubles).toEqual([]);
  // Lists, neighbours and trending were of one night each time, and the reader came by at every night.
  expect(seen.size).toBeGreaterThanOrEqual(10);
  for (const one of seen) {
    const [lists, neighbours, ...asOf] = one.split(' ');
    expect(neighbours).toBe(lists);
    const night = published.get(lists);
    if (night !== undefined) expect(new Date(asOf.join(' ')).toISOString()).toBe(night);
  }
}, 300_000);

describe('after a night without that reader', () => {
  beforeAll(() => publishNight(database, asOfOf(12)));

  test('three versions are kept, and tables of no others', async () => {
    const kept = await versions();
    expect(kept).toHaveLength(3);
    const { rows } = await database.pool.query<{ name: string }>(`
      select relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where nspname = 'store' and relkind = 'r' and relname like 'batch_recs_run%' order by 1`);
    expect(rows.map(({ name }) => Number(name.replace('batch_recs_run', ''))).sort((a, b) => a - b)).toEqual(
      kept,
    );
  });

  test('an older as-of is not published over a newer one', async () => {
    const stages = createStages(database);
    const before = await database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow();
    const run = await insertRun(database, { asOf: '2025-12-01T00:00:00Z', overrides: SMALL });
    try {
      await database.pool.query(
        `update movielens.ratings set rating_timestamp = rating_timestamp - interval '3 months'`,
      );
      await evaluateNight(stages, run);
      await prepareVersion(stages, run);
      await expect(stages.publishVersion({ run })).rejects.toThrow('is older than the published');
    } finally {
      await closeRun(database, run, 'failed');
    }
    expect(await database.db.selectFrom('serving.pointer').selectAll().executeTakeFirstOrThrow()).toEqual(
      before,
    );
  });

  test('a reader of another role needs the views and the function, and keeps the version that it looks at', async () => {
    const role = `reader_${database.url.split('_').at(-1)}`;
    await database.pool.query(`
      create role ${role} login;
      grant usage on schema recommendations, features, models, serving to ${role};
      grant select on recommendations.batch_recs, recommendations.similar_movies, recommendations.trending,
        features.user_features, models.user_factors, serving.movie_stats to ${role}`);
    const url = new URL(database.url);
    url.username = role;
    const reader = connect({ url: url.toString(), applicationName: 'nightjar-reader', max: 1 });
    try {
      expect(await recommendationsFor(reader, 1, 5)).toHaveLength(5);
      const client = await reader.pool.connect();
      await client.query('begin isolation level repeatable read');
      const seen = async (table: string): Promise<unknown> =>
        (await client.query(`select count(*) as rows from ${table}`)).rows;
      const trending = await seen('recommendations.trending');
      // Two nights are published and cleaned up after meanwhile.
      await publishNight(database, asOfOf(13));
      await publishNight(database, asOfOf(14));
      expect(await seen('features.user_features')).toEqual([{ rows: 30 }]);
      expect(await seen('recommendations.trending')).toEqual(trending);
      await client.query('commit');
      client.release();
    } finally {
      await reader.close();
      await database.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test('a detachment that was given up half-way is completed, whoever it was of', async () => {
    const holder = await database.pool.connect();
    // A reader inside the parent keeps the second half of the detachment waiting.
    await holder.query('begin');
    const [kept] = await versions();
    await holder.query('select from store.similar_movies limit 1');
    const detaching = database.pool.connect().then(async (client) => {
      await client.query(`set statement_timeout = '300ms'`);
      const partition = `store.similar_movies_run${kept}`;
      const failure: unknown = await client
        .query(`alter table store.similar_movies detach partition ${partition} concurrently`)
        .catch((error: unknown) => error);
      client.release(true);
      return failure;
    });
    expect(await detaching).toBeInstanceOf(Error);
    await holder.query('commit');
    holder.release();
    const pending = 'select from pg_inherits where inhdetachpending';
    expect((await database.pool.query(pending)).rowCount).toBe(1);
    await publishNight(database, asOfOf(15));
    expect((await database.pool.query(pending)).rowCount).toBe(0);
  });

  test('who is deleted in the source is gone from every kept version after the next night', async () => {
    await database.pool.query(`
      insert into experiments.ab_tests (test_id, execution_id, run, metric, arms, seeds, resamples, bootstrap_seed, code_version)
      select 'by-hand', '', max(run), 'rmse', '[]', '[]', 100, 42, 'test' from pipeline.runs;
      insert into experiments.ab_test_users values ('by-hand', 2, 'A')`);
    await database.pool.query('delete from movielens.ratings where user_id = 2');
    await publishNight(database, asOfOf(16));
    for (const table of [
      'store.batch_recs',
      'store.user_factors',
      'store.user_features',
      'store.user_genre_preferences',
      'silver.ratings',
      'bronze.ratings',
      'experiments.user_metrics',
      'experiments.ab_test_users',
    ]) {
      const { rows } = await database.pool.query(`select count(*) as rows from ${table} where user_id = 2`);
      expect(rows, table).toEqual([{ rows: 0 }]);
    }
    expect(await versions()).toHaveLength(3);
  });

  test('an image that has lost who left is the snapshot of no night any more: none follows it', async () => {
    const before = await publishNight(database, asOfOf(17));
    await database.pool.query('delete from movielens.ratings where user_id = 3');
    const stages = createStages(database);
    const run = await insertRun(database, {
      asOf: asOfOf(18),
      overrides: [...SMALL, 'ingestion.rebuild=true'],
    });
    // It is not published, so that what it has not followed stays.
    await evaluateNight(stages, run);
    await stages.retireVersions({ run });
    await closeRun(database, run, 'failed');
    const { rows } = await database.pool.query<{ rules: number }>(
      'select rules from silver.snapshots where run = $1',
      [before],
    );
    expect(rows[0].rules).toBeLessThan(0);
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recommendationsFor, recommendationsFromFactors } from '../../database/readers.ts';
import { dropPartition } from '../../database/versions.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { fillSource, insertRatings } from '../../test/support/source.ts';
import {
  SMALL,
  type Stages,
  createStages,
  evaluateNight,
  makeSnapshot,
  prepareVersion,
  publishNight,
} from '../../test/support/stages.ts';

let database: TestDatabase;
let stages: Stages;
beforeAll(async () => {
  database = await createTestDatabase();
  stages = createStages(database);
  await fillSource(database, 40, 40);
});
afterAll(() => database.drop());

/** Dirt is wanted here. */
const OVERRIDES = [...SMALL, 'quality.maximumRefusedShare=1', 'quality.thresholds.null_keys.error=100'];

let minute = 0;
/** Later than every one before. */
const nextAsOf = (): string => new Date(Date.UTC(2026, 1, 1, 0, minute++)).toISOString();

const query = async <Row extends object = Record<string, unknown>>(text: string, values: unknown[] = []) =>
  (await database.pool.query<Row>(text, values)).rows;

let asked = 0;
const request = (asOf: string, overrides?: string[]) => ({
  asOf,
  overrides,
  workflowId: 'test',
  executionId: `execution-${asked++}`,
});

/** A whole pass. */
async function pass(asOf = nextAsOf(), overrides?: string[]) {
  const found = await stages.updateStatistics(request(asOf, overrides));
  if (found.pass === null) throw new Error(found.note);
  const folded = await stages.foldInPass({ pass: found.pass });
  return { ...found, pass: found.pass, folded };
}

/** Everything that the speed layer holds, but for who wrote it and when. */
async function held(): Promise<unknown> {
  return {
    trending: await query('select * from speed.trending order by rank'),
    stats: await query('select * from speed.movie_stats order by movie_id'),
    recent: await query('select * from speed.recent_ratings order by user_id, movie_id'),
    overlay: await query('select * from speed.overlay order by user_id'),
    latest: await query('select base_run, base_as_of, recent_since from speed.latest'),
  };
}

const shown = async () => ({
  trending: (
    await query<{ row: object }>('select to_jsonb(t) as row from recommendations.trending t order by rank')
  ).map(({ row }) => row),
  stats: (
    await query<{ row: object }>('select to_jsonb(t) as row from serving.movie_stats t order by movie_id')
  ).map(({ row }) => row),
});

const ofNight = async (run: number) => {
  const rows = (table: string, key: string) =>
    query<{ row: object }>(
      `select to_jsonb(t) - 'run' as row from ${table} t where run = $1 order by ${key}`,
      [run],
    );
  return {
    trending: (await rows('store.trending', 'rank')).map(({ row }) => row),
    stats: (await rows('store.movie_stats', 'movie_id')).map(({ row }) => row),
  };
};

const leftTables = () =>
  query(`select relname from pg_class where relname ~ '^ratings_pass' and relkind = 'r'`);

test('before the first publish a pass says so and writes nothing', async () => {
  const found = await stages.updateStatistics(request(nextAsOf()));
  expect(found).toMatchObject({ pass: null, rows: 0 });
  expect(found.note).toContain('nothing is published yet');
  expect(await query('select from speed.passes')).toEqual([]);
  expect(await query('select from speed.movie_stats')).toEqual([]);
});

describe('after a night', () => {
  let night: number;
  beforeAll(async () => {
    night = await publishNight(database, nextAsOf(), OVERRIDES);
  });

  test('with nothing changed readers see what the night has made, and nobody is folded in', async () => {
    const found = await pass();
    expect(found).toMatchObject({ run: night, changedUsers: 0, folded: { rows: 0 } });
    const { trending, stats } = await ofNight(night);
    const now = await shown();
    expect(now.stats).toEqual(stats);
    const timeless = (rows: object[]) => rows.map((row) => ({ ...row, as_of: null }));
    expect(timeless(now.trending)).toEqual(timeless(trending));
  });

  /** What a night that is built anew at the same instant shows. */
  async function rebuilt(asOf: string, overrides: string[]): Promise<number> {
    const run = await insertRun(database, {
      asOf,
      overrides: [...OVERRIDES, 'ingestion.rebuild=true', ...overrides],
    });
    await makeSnapshot(stages, run);
    await stages.computeMovieStats({ run });
    await stages.computeTrending({ run });
    await closeRun(database, run, 'failed');
    return run;
  }

  test.each(['trending.anchor=newest_rating', 'trending.anchor=as_of', 'trending.windowDays=7'])(
    'trending and statistics are as those of a night that is built anew: %s',
    async (setting) => {
      await database.pool.query('delete from movielens.ratings where user_id >= 500 or user_id is null');
      const changes = [
        `insert into movielens.ratings select 500 + g % 7, 1 + g % 40, 0.5 + (g % 10) / 2.0, '2026-01-20'::timestamp + g * interval '3 hours'
         from generate_series(1, 60) g`,
        `delete from movielens.ratings where user_id < 6 and (user_id + movie_id) % 5 = 1`,
        `update movielens.ratings set rating = 5.5 - rating where user_id in (4, 22)`,
        `update movielens.ratings set rating_timestamp = '2001-01-01' where user_id = 11`,
        // Late, from the future, dirty, twice, and without a user or a movie that there is.
        `insert into movielens.ratings values (12, 3, 2.5, '1999-01-01'), (13, 4, 5, '2030-01-01'), (14, 5, 9, '2026-01-30'),
           (15, 6, 1, '2026-01-31'), (15, 6, 4, '2026-01-31'), (null, 6, 4, '2026-01-31'), (16, 999, 4, '2026-01-31')`,
        // The newest goes: the window moves back.
        `delete from movielens.ratings where user_id >= 500`,
        `delete from movielens.ratings where user_id = 17`,
      ];
      for (const [at, change] of changes.entries()) {
        await database.pool.query(change);
        const asOf = nextAsOf();
        const found = await pass(asOf, [setting]);
        const run = await rebuilt(asOf, [setting]);
        expect(await shown(), change).toEqual(await ofNight(run));
        expect(found.changedUsers, change).toBeGreaterThan(0);
        // Every other time the next pass goes by what this night has built, though nobody published it.
        if (at % 2 === 0) await dropPartition(database.db, 'silver.ratings', run);
        expect(await leftTables()).toEqual([]);
      }
    },
    120_000,
  );

  test('a rating that lay after the as-of of the night counts from its time on', async () => {
    const at = nextAsOf();
    await insertRatings(database, [[18, 7, 3, new Date(Date.parse(at) + 3.5 * 60_000).toISOString()]]);
    const run = await rebuilt(nextAsOf(), []);
    const before = await pass(nextAsOf());
    expect(before).toMatchObject({ run });
    const total = async () =>
      (
        await query<{ total_ratings: number }>(
          'select total_ratings from serving.movie_stats where movie_id = 7',
        )
      )[0].total_ratings;
    const counted = await total();
    nextAsOf();
    await pass(nextAsOf());
    expect(await total()).toBe(counted + 1);
  });
});

describe('folding in', () => {
  let night: number;
  beforeAll(async () => {
    await database.pool.query('truncate movielens.ratings, movielens.movies');
    await fillSource(database, 40, 40);
    night = await publishNight(database, nextAsOf(), OVERRIDES);
  });

  /** Solves the normal equations of ALS with weighted lambda for one user, in double precision. */
  function solve(items: number[][], ratings: number[], regularization: number): number[] {
    const width = items[0].length;
    const rows = Array.from({ length: width }, (_, i) => [
      ...Array.from({ length: width }, (__, j) =>
        items.reduce((sum, q) => sum + q[i] * q[j], i === j ? regularization * items.length : 0),
      ),
      items.reduce((sum, q, at) => sum + q[i] * ratings[at], 0),
    ]);
    for (let i = 0; i < width; i++) {
      for (let k = 0; k < width; k++) {
        if (k === i) continue;
        const factor = rows[k][i] / rows[i][i];
        rows[k] = rows[k].map((value, j) => value - factor * rows[i][j]);
      }
    }
    return rows.map((row, i) => row[width] / row[i]);
  }

  const factorsOf = async (user: number) =>
    JSON.parse(
      (
        await query<{ features_json: string }>(
          'select features_json from models.user_factors where user_id = $1',
          [user],
        )
      )[0].features_json,
    ) as number[];

  async function expectedFactors(user: number): Promise<number[]> {
    const rated = await query<{ rating: number; features_json: string }>(
      `select r.rating, f.features_json from movielens.ratings r join models.item_factors f using (movie_id) where user_id = $1`,
      [user],
    );
    return solve(
      rated.map(({ features_json }) => JSON.parse(features_json) as number[]),
      rated.map(({ rating }) => rating),
      0.1,
    );
  }

  const NEW = 900;

  test('a new user with 5 ratings has 20 recommendations, without what was rated', async () => {
    expect((await recommendationsFor(database, NEW, 20))[0].provenance).toBe('popular');
    const rated = [1, 3, 5, 7, 9];
    await insertRatings(
      database,
      rated.map((movie, at) => [NEW, movie, 1 + (at % 5), '2026-01-31']),
    );
    expect(await pass()).toMatchObject({ run: night, changedUsers: 1, folded: { rows: 1 } });
    const list = await recommendationsFor(database, NEW, 20);
    expect(list).toHaveLength(20);
    expect(new Set(list.map(({ provenance }) => provenance))).toEqual(new Set(['fold-in']));
    expect(list.filter(({ movie_id }) => rated.includes(movie_id))).toEqual([]);
    expect(list.map(({ rank }) => rank)).toEqual(list.map((_, at) => at + 1));
    const again = await recommendationsFromFactors(database.db, NEW, 20);
    const what = ({ rank, movie_id, predicted_score, provenance }: (typeof list)[number]) => ({
      rank,
      movie_id,
      predicted_score,
      provenance,
    });
    expect(again.map(what)).toEqual(list.map(what));
    const expected = await expectedFactors(NEW);
    (await factorsOf(NEW)).forEach((value, at) => expect(value).toBeCloseTo(expected[at], 3));
    const merged = await query(
      'select provenance, rank, movie_id from recommendations.batch_recs where user_id = $1',
      [NEW],
    );
    expect(merged).toHaveLength(20);
  });

  test('a known user who has rated, late or corrected, is as of now; nobody else is touched', async () => {
    const others = await query(
      'select * from recommendations.batch_recs where user_id not in (3, 4, $1) order by user_id, rank',
      [NEW],
    );
    const before = await factorsOf(3);
    const [{ movie_id: late }] = await query<{ movie_id: number }>(
      'select movie_id from movielens.movies except select movie_id from movielens.ratings where user_id = 3 order by 1',
    );
    await insertRatings(database, [[3, late, 0.5, '1998-01-01']]);
    await database.pool.query('update movielens.ratings set rating = 5.5 - rating where user_id = 4');
    expect(await pass()).toMatchObject({ changedUsers: 3, folded: { rows: 3 } });
    for (const user of [3, 4]) {
      const expected = await expectedFactors(user);
      const now = await factorsOf(user);
      now.forEach((value, at) => expect(value).toBeCloseTo(expected[at], 3));
      if (user === 3) expect(now).not.toEqual(before);
      const list = await recommendationsFor(database, user, 50);
      expect(new Set(list.map(({ provenance }) => provenance))).toEqual(new Set(['fold-in']));
      expect(list.filter(({ movie_id }) => user === 3 && movie_id === late)).toEqual([]);
      const rows = await query('select rank from recommendations.batch_recs where user_id = $1', [user]);
      expect(rows).toHaveLength(list.length);
    }
    expect(
      await query(
        'select * from recommendations.batch_recs where user_id not in (3, 4, $1) order by user_id, rank',
        [NEW],
      ),
    ).toEqual(others);
  });

  test('a blocked movie is in no list, and one below the floor neither', async () => {
    const [{ movie_id }] = await recommendationsFor(database, NEW, 1);
    await database.pool.query(
      `insert into serving.blocked_items (movie_id, reason, actor, since) values ($1, 'rights', 'test', '2026-01-01')`,
      [movie_id],
    );
    await pass();
    const list = await recommendationsFor(database, NEW, 20);
    expect(list.map((one) => one.rank)).toEqual(list.map((_, at) => at + 1));
    expect(list.map((one) => one.movie_id)).not.toContain(movie_id);
    await database.pool.query('delete from serving.blocked_items');
    await pass(undefined, ['recommendations.minimumRatings=1000']);
    expect(await query('select cardinality(movies) as places from speed.overlay limit 1')).toEqual([
      { places: 0 },
    ]);
    expect((await recommendationsFor(database, NEW, 20))[0].provenance).toBe('popular');
    await pass();
  });

  test('twice in a row the tables stay, and so does who asks again after a lost completion', async () => {
    const asOf = nextAsOf();
    await pass(asOf);
    const before = await held();
    await pass(asOf);
    expect(await held()).toEqual(before);
    const asking = request(asOf);
    const first = await stages.updateStatistics(asking);
    const passes = await query('select pass from speed.passes order by pass');
    expect(await stages.updateStatistics(asking)).toEqual(first);
    const folded = await stages.foldInPass({ pass: first.pass ?? 0 });
    expect(await stages.foldInPass({ pass: first.pass ?? 0 })).toEqual(folded);
    expect(await query('select pass from speed.passes order by pass')).toEqual(passes);
    expect(await held()).toEqual(before);
  });

  test('of two at once one is done, the other tried again, and the tables are as after one', async () => {
    const asOf = nextAsOf();
    await pass(asOf);
    const before = await held();
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => stages.updateStatistics(request(asOf))));
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const one of outcomes)
      if (one.status === 'rejected')
        expect(String(one.reason)).toContain('another pass has finished meanwhile');
    expect(await held()).toEqual(before);
    const passes = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value.pass ?? 0] : []));
    const folded = await Promise.all([...passes, ...passes].map((one) => stages.foldInPass({ pass: one })));
    expect(await held()).toEqual(before);
    // An older one leaves it to the newest.
    expect(folded.filter(({ note }) => note.includes('folded in'))).not.toEqual([]);
    expect(await leftTables()).toEqual([]);
  });

  test('killed before its commit a pass leaves everything as it was', async () => {
    const before = await held();
    const passes = await query('select pass from speed.passes order by pass');
    await insertRatings(database, [[5, 2, 4, '2026-01-31']]);
    const holder = await database.pool.connect();
    await holder.query('begin');
    await holder.query('lock table speed.latest in share mode');
    const killed = stages.updateStatistics(request(nextAsOf())).catch((error: unknown) => error);
    await expect
      .poll(() => query(`select from pg_locks where relation = 'speed.latest'::regclass and not granted`))
      .toHaveLength(1);
    await query(
      `select pg_terminate_backend(pid) from pg_locks where relation = 'speed.latest'::regclass and not granted`,
    );
    expect(await killed).toBeInstanceOf(Error);
    await holder.query('commit');
    holder.release();
    expect(await held()).toEqual(before);
    expect(await query('select pass from speed.passes order by pass')).toEqual(passes);
    expect(await leftTables()).toEqual([]);
    expect(await pass()).toMatchObject({ changedUsers: 4, folded: { rows: 4 } });
  });

  test('who is gone from the source is gone from the overlay', async () => {
    await database.pool.query('delete from movielens.ratings where user_id = $1', [NEW]);
    await pass();
    expect(await query('select from speed.overlay where user_id = $1', [NEW])).toEqual([]);
    expect((await recommendationsFor(database, NEW, 5))[0].provenance).toBe('popular');
  });

  describe('and the next night', () => {
    let next: number;
    let newest: string;

    beforeEach(() => insertRatings(database, [[NEW + 1, 1 + (minute % 40), 4, '2026-01-31']]));

    test('a pass that overlaps its publish is not shown, and folds nobody in', async () => {
      const early = await pass();
      expect(await query('select from speed.overlay')).not.toEqual([]);
      newest = nextAsOf();
      const holder = await database.pool.connect();
      await holder.query('begin');
      await holder.query('lock table speed.latest in share mode');
      const late = stages.updateStatistics(request(newest));
      await expect
        .poll(() => query(`select from pg_locks where relation = 'speed.latest'::regclass and not granted`))
        .toHaveLength(1);
      next = await insertRun(database, { asOf: newest, overrides: OVERRIDES });
      await evaluateNight(stages, next);
      await prepareVersion(stages, next);
      await stages.publishVersion({ run: next });
      await holder.query('commit');
      holder.release();
      const found = await late;
      expect(found).toMatchObject({ run: early.run });
      expect(await shown()).toEqual(await ofNight(next));
      const folded = await stages.foldInPass({ pass: found.pass ?? 0 });
      expect(folded).toMatchObject({ rows: 0 });
      expect(folded.note).toContain(`the version of run ${next} is served by now`);
      await stages.retireVersions({ run: next });
      await closeRun(database, next);
    });

    test('after it the overlay is empty, and no ratings of an older snapshot are left', async () => {
      expect(await query('select from speed.overlay')).toEqual([]);
      expect(await query('select from speed.recent_ratings')).toEqual([]);
      expect(await leftTables()).toEqual([]);
      expect(await shown()).toEqual(await ofNight(next));
    });

    test('a pass on the snapshot of a night that is then published stays shown', async () => {
      const asOf = nextAsOf();
      const run = await insertRun(database, { asOf, overrides: OVERRIDES });
      await evaluateNight(stages, run);
      await insertRatings(database, [[NEW + 2, 3, 4, '2026-01-31']]);
      const found = await pass();
      expect(found).toMatchObject({ run });
      const before = await shown();
      await prepareVersion(stages, run);
      await stages.publishVersion({ run });
      await stages.retireVersions({ run });
      await closeRun(database, run);
      expect(await shown()).toEqual(before);
      next = run;
    });

    test('a rollback hides what was folded into the newer version, and keeps the statistics', async () => {
      await pass();
      const user = NEW + 2;
      expect((await recommendationsFor(database, user, 5))[0].provenance).toBe('fold-in');
      const before = await shown();
      const { run, served } = await stages.verifyVersion({});
      const back = { reason: 'a test', actor: 'test', workflowId: 'back', executionId: 'back' };
      await stages.restoreVersion({ run, served, ...back });
      expect((await recommendationsFor(database, user, 5))[0].provenance).toBe('popular');
      expect(await shown()).toEqual(before);
      // The next pass folds into what is served.
      await pass();
      expect((await recommendationsFor(database, user, 5))[0]).toMatchObject({ provenance: 'fold-in' });
      expect(await query('select distinct model_run from speed.overlay')).toEqual([{ model_run: run }]);
    });

    test('fingerprints of what is served say nothing where other rules have made them', async () => {
      const published = await publishNight(database, nextAsOf(), OVERRIDES);
      const run = await insertRun(database, { asOf: nextAsOf(), overrides: OVERRIDES });
      await makeSnapshot(stages, run);
      await closeRun(database, run);
      await database.pool.query(
        'update bronze.fingerprints set checksum = checksum - 1 where _batch_id = $1',
        [published],
      );
      expect(await stages.updateStatistics(request(nextAsOf()))).toMatchObject({ pass: null });
      await database.pool.query('update silver.snapshots set rules = 0 where run = $1', [published]);
      expect(await pass()).toMatchObject({ run });
    });
  });

  test('where most of the source has changed a pass leaves it to the night', async () => {
    const before = await held();
    await database.pool.query('update movielens.ratings set rating = 5.5 - rating where user_id < 39');
    const found = await stages.updateStatistics(request(nextAsOf()));
    expect(found).toMatchObject({ pass: null });
    expect(found.note).toContain('the next night reads it as a whole');
    expect(await held()).toEqual(before);
  });
});

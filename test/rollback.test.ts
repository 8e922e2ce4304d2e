import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomeOf, startNight } from '../scripts/support/start-night.ts';
import type { RollbackResult } from '../workflows/contracts.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import { startScript } from './support/scripts.ts';
import { fillSource } from './support/source.ts';
import { SMALL } from './support/stages.ts';
import { type NightTest, startNightTest } from './support/temporal.ts';

let night: NightTest;
const asOfOf = (day: number): string => new Date(Date.UTC(2026, 1, day)).toISOString();

async function run(day: number, more: string[] = []) {
  const request = { asOf: asOfOf(day), profile: 'small', overrides: [...SMALL, ...more] };
  const handle = await startNight(night.client, request);
  return outcomeOf(handle, handle.result());
}

beforeAll(async () => {
  night = await startNightTest();
  await fillSource(night.database, 30, 20);
  for (const day of [1, 2]) expect(await run(day)).toMatchObject({ run: day, published: true });
});
afterAll(() => night.close());

const env = () => ({
  DATABASE_URL: night.database.url,
  TEMPORAL_ADDRESS: night.address,
  TEMPORAL_NAMESPACE: night.namespace,
});
const pipeline = (...args: string[]) => startScript(['pipeline', ...args], env()).finished;

async function json<Value>(...args: string[]): Promise<Value> {
  const { code, stdout, stderr } = await pipeline(...args, '--json');
  expect(stderr.includes('Error'), stderr).toBe(false);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Value;
}

interface Kept {
  run: number;
  served: boolean;
  champion: boolean;
  served_since: string | null;
  rmse: number;
}

test('a rollback by command: what was served before is served, and versions says so', async () => {
  const moved = await json<RollbackResult>('rollback', '--reason', 'trailers', '--actor', 'ada');
  expect(moved).toMatchObject({ changed: true, run: 1, previous_run: 2, reason: 'trailers', actor: 'ada' });
  const versions = await json<Kept[]>('versions');
  expect(versions.map((one) => [one.run, one.served, one.champion])).toEqual([
    [2, false, true],
    [1, true, true],
  ]);
  expect(versions.map((one) => one.served_since !== null)).toEqual([false, true]);
  expect(versions.every(({ rmse }) => rmse > 0)).toBe(true);

  const listed = night.client.workflow.list({ query: `WorkflowType = 'rollbackModel'` });
  for await (const { typedSearchAttributes } of listed)
    expect(typedSearchAttributes.get(searchAttributes.modelVersion)).toBe(moved.model_version);

  const again = await pipeline('rollback', '--to', '1', '--reason', 'once more');
  expect(again.code).toBe(0);
  expect(again.stdout).toContain('is what is served: nothing changed');
  const { rows } = await night.database.pool.query(
    `select actor from models.promotions where decision = 'rollback'`,
  );
  expect(rows).toEqual([{ actor: 'ada' }]);
});

test.each([
  [['rollback', '--to', '77', '--reason', 'x'], '--to 77: there is no such version; kept are 2 (als-rank'],
  [['rollback', '--reason', 'x'], 'no version that was served before als-rank'],
  [['rollback', '--to', '2', '--reason', '  '], '--reason'],
  [['unblock', '--movie', '3'], '--movie 3: it is not blocked'],
])('%s: one line, exit code 2, nothing changed', async (args, says) => {
  const before = await standing();
  const { code, stdout, stderr } = await pipeline(...args);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(says);
  expect(stdout).toBe('');
  expect(code).toBe(2);
  expect(await standing()).toEqual(before);
});

async function standing() {
  const { db } = night.database;
  return [
    await db.selectFrom('serving.pointer').selectAll().execute(),
    await db.selectFrom('models.promotions').selectAll().orderBy('promotion_id').execute(),
    await db.selectFrom('models.champions').selectAll().orderBy('champion_id').execute(),
    await db.selectFrom('serving.blocked_items').selectAll().execute(),
  ];
}

describe('the block-list', () => {
  const listed = async (movie: number): Promise<string[]> => {
    const { rows } = await night.database.pool.query<{ place: string }>(
      `select 'lists' as place from recommendations.batch_recs where movie_id = $1
       union select 'neighbours' from recommendations.similar_movies where similar_movie_id = $1
       union select 'trending' from recommendations.trending where movie_id = $1
       union select 'for_user' from generate_series(1, 30) u, recommendations.for_user(u::integer, 20) where movie_id = $1
       union select 'fallback' from recommendations.for_user(123456, 20) where movie_id = $1
       order by 1`,
      [movie],
    );
    return rows.map(({ place }) => place);
  };
  const EVERYWHERE = ['fallback', 'for_user', 'lists', 'neighbours', 'trending'];
  let movie: number;
  beforeAll(async () => {
    const { rows } = await night.database.pool.query<{ movie_id: number }>(
      `select movie_id from recommendations.batch_recs join recommendations.trending using (movie_id)
       group by 1 order by count(*) desc, 1 limit 1`,
    );
    movie = rows[0].movie_id;
  });

  test('a blocked movie is gone from every list at once; places stay, and fewer are asked for in vain', async () => {
    expect(await listed(movie)).toEqual(EVERYWHERE);
    const { rows: before } = await night.database.pool.query<{ movie_id: number; rank: number }>(
      'select movie_id, rank from recommendations.for_user(1, 100) where movie_id <> $1 order by rank',
      [movie],
    );
    expect(await json('block', '--movie', String(movie), '--reason', 'rights')).toEqual({
      movie_id: movie,
      blocked: true,
      changed: true,
    });
    expect(await listed(movie)).toEqual([]);
    const { rows: after } = await night.database.pool.query(
      'select movie_id, rank from recommendations.for_user(1, 100) order by rank',
    );
    expect(after).toEqual(before);
    const { rows: few } = await night.database.pool.query('select from recommendations.for_user(1, 3)');
    expect(few).toHaveLength(3);
    // Statistics are no list.
    const { rows: statistics } = await night.database.pool.query(
      'select from serving.movie_stats where movie_id = $1',
      [movie],
    );
    expect(statistics).toHaveLength(1);

    const again = await pipeline('block', '--movie', String(movie), '--reason', 'again');
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain('is blocked already: nothing changed');
    expect(await json('blocked')).toMatchObject([{ movie_id: movie, reason: 'rights', lifted_at: null }]);
  });

  test('whose every recommendation is blocked gets the fallback, never nothing', async () => {
    await night.database.pool.query(`
      insert into serving.blocked_items (movie_id, reason, actor)
      select movie_id, 'all of user 1', 'test' from store.batch_recs
      where run = (select model_run from serving.pointer) and user_id = 1 on conflict do nothing`);
    const { rows } = await night.database.pool.query<{ provenance: string; rank: number }>(
      'select provenance, rank from recommendations.for_user(1, 2)',
    );
    expect(rows).toEqual([
      { provenance: 'popular', rank: 1 },
      { provenance: 'popular', rank: 2 },
    ]);
    await night.database.pool.query(
      `update serving.blocked_items set lifted_at = clock_timestamp(), lifted_by = 'test' where actor = 'test'`,
    );
  });

  test('the next night makes lists without it, and passes its gate', async () => {
    const outcome = await run(3);
    expect(outcome).toMatchObject({ status: 'success', published: true });
    const { rows } = await night.database.pool.query(
      `select from store.batch_recs where run = $1 and movie_id = $2
       union all select from store.similar_movies where run = $1 and similar_movie_id = $2
       union all select from store.trending where run = $1 and movie_id = $2`,
      [outcome.run, movie],
    );
    expect(rows).toEqual([]);
    // Published without it: letting it in again shows it from the next night on, except where lists are made at read.
    await json('unblock', '--movie', String(movie), '--reason', 'renewed');
    expect(await listed(movie)).toEqual(['fallback']);
    expect(await json('blocked')).toEqual([]);
    const all = await json<{ movie_id: number; lifted_reason: string | null }[]>('blocked', '--all');
    expect(all.find((one) => one.movie_id === movie)?.lifted_reason).toBe('renewed');
    expect(await run(4)).toMatchObject({ status: 'success' });
    expect(await listed(movie)).toEqual(EVERYWHERE);
  });
});

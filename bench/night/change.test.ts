import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { fillSource } from '../../test/support/source.ts';
import { type Change, changeSource } from './change.ts';

const FROM = new Date('2026-02-01T02:00:00Z');
const TO = new Date('2026-02-02T02:00:00Z');
const SHARE = 0.03;

let database: TestDatabase;
let change: Change;
beforeAll(async () => {
  database = await createTestDatabase();
  await fillSource(database, 300, 200);
  await database.pool.query('create table before as select * from movielens.ratings');
  change = await changeSource(database, { share: SHARE, from: FROM, to: TO });
});
afterAll(() => database.drop());

async function count(query: string): Promise<number> {
  const { rows } = await database.pool.query<{ rows: number }>(`select count(*) as rows from ${query}`);
  return rows[0].rows;
}

const TODAY = `rating_timestamp >= '2026-02-01 02:00:00' and rating_timestamp < '2026-02-02 02:00:00'`;
const NEW = 'movielens.ratings r left join before b using (user_id, movie_id) where b.user_id is null';

test('of every kind there are about as many rows as were asked for', async () => {
  const ratings = await count('before');
  const close = (rows: number, share: number) =>
    expect(Math.abs(rows / (ratings * SHARE * share) - 1)).toBeLessThan(0.5);
  close(change.fresh, 0.55);
  close(change.newcomers, 0.1);
  close(change.corrected, 0.15);
  // Of so few active users some have rated all that is drawn for them.
  expect(change.late).toBeGreaterThan(0);
  expect(change.deleted).toBeGreaterThan(0);
  const { rows, share, ...kinds } = change;
  expect(share).toBe(SHARE);
  expect(rows).toBe(Object.values(kinds).reduce((sum, one) => sum + one, 0));
});

test('what was counted is what happened', async () => {
  expect(
    await count('before b left join movielens.ratings r using (user_id, movie_id) where r.user_id is null'),
  ).toBe(change.deleted);
  expect(
    await count('before b join movielens.ratings r using (user_id, movie_id) where r.rating <> b.rating'),
  ).toBe(change.corrected);
  expect(await count(NEW)).toBe(change.fresh + change.newcomers + change.late);
  expect(await count(`${NEW} and r.user_id > 300`)).toBe(change.newcomers);
  expect(await count(`${NEW} and r.${TODAY}`.replace('and rating_', 'and r.rating_'))).toBe(
    change.fresh + change.newcomers,
  );
});

test('few users rate much, some leave, and some corrections cannot be told by their timestamps', async () => {
  const active = await count(
    `(select distinct user_id from ${NEW} and r.user_id <= 300 and r.rating_timestamp >= '2026-02-01') a`,
  );
  expect(active).toBe(6);
  const silent = await count(
    'before b join movielens.ratings r using (user_id, movie_id) where r.rating <> b.rating and r.rating_timestamp = b.rating_timestamp',
  );
  expect(silent).toBeGreaterThan(change.corrected / 4);
  expect(silent).toBeLessThan((change.corrected * 3) / 4);
});

test('the source is as clean as it was', async () => {
  expect(
    await count('(select from movielens.ratings group by user_id, movie_id having count(*) > 1) twice'),
  ).toBe(0);
  expect(
    await count(
      'movielens.ratings where rating is null or rating < 0.5 or rating > 5 or rating * 2 <> trunc(rating * 2)',
    ),
  ).toBe(0);
  expect(
    await count('movielens.ratings r left join movielens.movies m using (movie_id) where m.movie_id is null'),
  ).toBe(0);
});

test('the same source changes in the same way', async () => {
  const other = await createTestDatabase();
  const digest = async ({ pool }: TestDatabase): Promise<unknown> =>
    (
      await pool.query(
        `select md5(string_agg(r::text, ',' order by user_id, movie_id)) from movielens.ratings r`,
      )
    ).rows;
  try {
    await fillSource(other, 300, 200);
    // In another order on disk, and read by one process.
    await other.pool.query(`
      create table again as select * from movielens.ratings order by rating, movie_id, user_id;
      truncate movielens.ratings; insert into movielens.ratings select * from again`);
    expect(await changeSource(other, { share: SHARE, from: FROM, to: TO })).toEqual(change);
    expect(await digest(other)).toEqual(await digest(database));
  } finally {
    await other.drop();
  }
});

test('on the next day others do something', async () => {
  const actives = async (from: string): Promise<unknown[]> =>
    (
      await database.pool.query<{ user_id: number }>(
        `select distinct user_id from movielens.ratings r where rating_timestamp >= $1 and user_id <= 300
         and not exists (select from before b where b.user_id = r.user_id and b.movie_id = r.movie_id)`,
        [from],
      )
    ).rows;
  const before = await actives('2026-02-01T02:00:00');
  const next = await changeSource(database, {
    share: SHARE,
    from: TO,
    to: new Date(TO.getTime() + 86_400_000),
  });
  expect(next.late).toBeGreaterThan(0);
  expect(next.deleted).toBeGreaterThan(0);
  const after = await actives('2026-02-02T02:00:00');
  expect(after).toHaveLength(6);
  expect(after).not.toEqual(before);
});

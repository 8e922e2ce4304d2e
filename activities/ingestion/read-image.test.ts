import { afterAll, beforeAll, expect, test } from 'vitest';
import { transaction } from '../../database/session.ts';
import { RatingColumns } from '../../recommender/index.ts';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { readImage } from './read-image.ts';

const RUN = 1;
const ROWS = 12_000;
let database: TestDatabase;

/** An image of two parts that nobody has shown yet, as silver of a large source leaves it. */
beforeAll(async () => {
  database = await createTestDatabase();
  await database.pool.query(`
    create table silver.movies_run1 partition of silver.movies for values in (${RUN});
    insert into silver.movies select ${RUN}, movie, 'Title', 'Drama', '{Drama}', 'Drama', 1, null from generate_series(1, 99) movie;
    create table silver.ratings_run1 (like silver.ratings) partition by range (user_id);
    create table silver.ratings_run1_part0 partition of silver.ratings_run1 for values from (minvalue) to (100);
    create table silver.ratings_run1_part1 partition of silver.ratings_run1 for values from (100) to (maxvalue);
    insert into silver.ratings_run1
      select ${RUN}, row % 240, 1 + row / 240, (1 + row % 10) / 2.0, '1950-01-01'::timestamptz + row * interval '7919 minutes'
      from generate_series(0, ${ROWS - 1}) row`);
});
afterAll(() => database.drop());

const signal = new AbortController().signal;
const given = { run: RUN, rows: ROWS, table: 'by_movie', positive: 8, negative: 4 };

test('two parts side by side give what PostgreSQL groups, and every rating for the split', async () => {
  await transaction(database, async (session) => {
    const { columns, ratingCounts } = await readImage(database, session, given, signal);
    const query = async (text: string) => (await session.client.query<Record<string, unknown>>(text)).rows;
    const grouped = `
      select movie_id, count(*)::integer, sum(rating * 2)::bigint, sum(rating * rating * 4)::bigint,
             (count(*) filter (where rating >= 4))::integer, (count(*) filter (where rating <= 2))::integer,
             min(rating_timestamp), max(rating_timestamp)
      from silver.ratings_run1 group by movie_id`;
    expect(
      await query(`(table by_movie except ${grouped}) union all (${grouped} except table by_movie)`),
    ).toEqual([]);
    expect(await query('select count(*) as movies from by_movie')).toEqual([{ movies: 50 }]);
    const byValue = await query(
      'select rating::text, count(*) as ratings from silver.ratings_run1 group by 1',
    );
    expect(ratingCounts).toEqual(Object.fromEntries(byValue.map(({ rating, ratings }) => [rating, ratings])));
    const triples = Array.from(columns?.users ?? [], (user, row) => [
      user,
      columns?.items[row],
      columns?.ratings[row],
    ]);
    const rows = await query('select user_id, movie_id, rating from silver.ratings_run1');
    const sorted = (all: unknown[]): string[] => all.map((one) => JSON.stringify(one)).toSorted();
    expect(sorted(triples)).toEqual(sorted(rows.map((row) => Object.values(row))));
    columns?.release();
  });
});

test.each([
  ['another number of rows', { rows: ROWS + 1 }, '', `holds ${ROWS} ratings, ${ROWS + 1} were written`],
  [
    'a rating of no movie in one part',
    {},
    'update silver.ratings_run1 set movie_id = 100 where user_id = 7',
    'movie 100',
  ],
])('%s fails it, and the memory is there for the next one', async (_what, other, change, message) => {
  const first = new RatingColumns(ROWS);
  const { workspace } = first;
  first.release();
  const failing = transaction(database, async (session) => {
    // Seen by others only when it is committed, as a whole image is.
    if (change !== '') await database.pool.query(change);
    return readImage(database, session, { ...given, ...other }, signal);
  });
  await expect(failing).rejects.toThrow(message);
  const next = new RatingColumns(ROWS);
  expect(next.workspace).toBe(workspace);
  next.release();
});

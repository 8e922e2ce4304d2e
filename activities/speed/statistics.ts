/** Trending and movie statistics as a night would make them now: of the snapshot, but for the changed users. */

import { type RawBuilder, sql } from 'kysely';
import type { Settings } from '../../config/settings.ts';
import type { Db } from '../../database/connect.ts';
import { instant } from '../../database/constants.ts';
import type { HeldSnapshot } from '../../database/snapshots.ts';
import { rowsOf } from '../../database/versions.ts';
import { statsOfMovies } from '../publishing/movie-stats.ts';
import { type ActivitySources, movieActivity, windowOf } from '../publishing/recent-window.ts';
import { leadingMovies } from '../publishing/trending.ts';

export interface Statistics {
  snapshot: HeldSnapshot;
  /** The table of what the changed users have rated by now. */
  present: string;
  /** How many users have changed. */
  users: number;
  settings: Settings['trending'];
  asOf: Date;
}

const isChanged = (user: string): RawBuilder<unknown> => sql`exists (
  select from changed_users c where c.user_id = ${sql.ref(user)})`;

/**
 * Brings both tables to the present; only rows that differ are written.
 * @returns the number of movies with statistics, and since when `speed.recent_ratings` has the snapshot's
 */
export async function replaceStatistics(db: Db, given: Statistics): Promise<{ movies: number; since: Date }> {
  const { snapshot, settings, asOf } = given;
  const window = windowOf(settings, asOf, await newestRating(db, given));
  const since = await keepRecent(db, snapshot, window.from);
  await addUpTotals(db, given);
  const activity = movieActivity(db, sourcesOf(given), window);
  const stats = statsOfMovies(db, activity, snapshot.run);
  const movies = await replaceRows(db, 'speed.movie_stats', 'movie_id', stats);
  const leading = leadingMovies(db, sql`speed.movie_stats`, { ...settings, asOf, blockedAt: asOf });
  await replaceRows(db, 'speed.trending', 'rank', leading);
  return { movies, since };
}

async function newestRating(db: Db, { snapshot, present }: Statistics): Promise<Date | null> {
  const { rows } = await sql<{ newest: Date | null }>`
    select greatest(
      (select max(last_at) from ${rowsOf('gold.user_totals', snapshot.run)} u where not ${isChanged('u.user_id')}),
      (select max(rating_timestamp) from ${sql.table(present)})) as newest`.execute(db);
  return rows[0].newest;
}

/**
 * Has the ratings of the snapshot after `from` in `speed.recent_ratings`. The window moves on, so what one pass has found
 * by a scan of the whole image serves all that go by the same snapshot.
 */
async function keepRecent(db: Db, { run, image }: HeldSnapshot, from: Date): Promise<Date> {
  const latest = await db.selectFrom('speed.latest').selectAll().executeTakeFirst();
  const since = latest?.base_run === run ? latest.recent_since : null;
  if (since !== null && since <= from) return since;
  await db.deleteFrom('speed.recent_ratings').execute();
  // An INSERT gets no parallel plan.
  await sql`
    create temporary table recent_found on commit drop as
    select user_id, movie_id, rating, rating_timestamp from ${rowsOf('silver.ratings', image)}
    where rating_timestamp > ${instant(from)}`.execute(db);
  await sql`insert into speed.recent_ratings (user_id, movie_id, rating, rating_timestamp) select * from recent_found`.execute(
    db,
  );
  await sql`analyze speed.recent_ratings`.execute(db);
  return from;
}

/** Of so many users what they had is looked up one by one, in the time that their change takes; of more the image is read. */
const MOST_LOOKED_UP = 20_000;

/** Exact sums: those of the snapshot, less what the changed users had in it, and what they have now. */
async function addUpTotals(db: Db, { snapshot, present, users }: Statistics): Promise<void> {
  const image = rowsOf('silver.ratings', snapshot.image);
  // Which the planner may not turn into a join with all of the image.
  const oneByOne = users <= MOST_LOOKED_UP ? sql`offset 0` : sql``;
  await sql`
    create temporary table present_totals on commit drop as
    select movie_id, sum(ratings)::integer as ratings, sum(half_stars)::bigint as half_stars
    from (
      select movie_id, ratings, half_stars from ${rowsOf('gold.movie_totals', snapshot.run)}
      union all
      select movie_id, -1, -(rating * 2)::integer
      from (select user_id::integer as user_id from changed_users where user_id between -2147483648 and 2147483647) c
      cross join lateral (
        select movie_id, rating from ${image} r where r.user_id = c.user_id ${oneByOne}
      ) r
      union all
      select movie_id, 1, (rating * 2)::integer from ${sql.table(present)}
    ) parts
    group by movie_id having sum(ratings) > 0`.execute(db);
}

function sourcesOf({ present }: Statistics): ActivitySources {
  return {
    totals: sql`present_totals`,
    ratings: sql`(
      select movie_id, rating, rating_timestamp from speed.recent_ratings r where not ${isChanged('r.user_id')}
      union all
      select movie_id, rating, rating_timestamp from ${sql.table(present)})`,
  };
}

/**
 * Makes a table what a query gives, by its key. In place: a reader sees it before or after, and it stays as small as it is.
 * @returns the number of rows
 */
async function replaceRows(
  db: Db,
  table: 'speed.trending' | 'speed.movie_stats',
  key: string,
  query: { toOperationNode(): unknown },
): Promise<number> {
  const fresh = sql.table(`fresh_${table.split('.')[1]}`);
  // The table's own columns in their order, so that whole rows compare; its number is the default.
  await sql`create temporary table ${fresh} (like ${sql.table(table)} including defaults) on commit drop`.execute(
    db,
  );
  const columns = await columnsOf(db, table);
  const { numAffectedRows } = await sql`
    insert into ${fresh} (${columns}) select ${columns} from (${query}) q`.execute(db);
  await sql`analyze ${fresh}`.execute(db);
  await sql`
    delete from ${sql.table(table)} t where not exists (
      select from ${fresh} f where f.${sql.ref(key)} = t.${sql.ref(key)} and f.* is not distinct from t.*)`.execute(
    db,
  );
  await sql`
    insert into ${sql.table(table)} select * from ${fresh} f
    where not exists (select from ${sql.table(table)} t where t.${sql.ref(key)} = f.${sql.ref(key)})`.execute(
    db,
  );
  return Number(numAffectedRows);
}

async function columnsOf(db: Db, table: string): Promise<RawBuilder<unknown>> {
  const { rows } = await sql<{ name: string }>`
    select attname as name from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and attname <> 'run' order by attnum`.execute(db);
  return sql.join(rows.map(({ name }) => sql.ref(name)));
}

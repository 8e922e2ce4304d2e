/** A day of a source: what people do to it between two nights, so many rows of it, always the same ones. */

import { type RawBuilder, sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';

/**
 * How a change of so many rows is made up, as shares of it. Whoever does something on a day is one of that day's active
 * users, but for newcomers and leavers: they rate, correct, hand in late what an app had kept, and take back.
 */
const MIXTURE = {
  /** Ratings of today by the day's active users: `ACTIVE_USERS` of all. */
  fresh: 0.55,
  /** Ratings of today by users whom nobody knew. */
  newcomers: 0.1,
  /** Another number of stars for what was rated before; every second one keeps its timestamp. */
  corrected: 0.15,
  /** Ratings that come late, with timestamps of then. */
  late: 0.1,
  /** Single ratings that are taken back. */
  withdrawn: 0.05,
  /** All ratings of users who leave. */
  left: 0.05,
};
const ACTIVE_USERS = 0.02;
const RATINGS_A_NEWCOMER = 20;

/** The mixture in words, for whoever reads the figures. */
export const CHANGE_IN_WORDS = `by the ${percent(ACTIVE_USERS)} of the users who are active ${percent(MIXTURE.fresh)} new ratings, ${percent(MIXTURE.corrected)} corrected (half with their old timestamp), ${percent(MIXTURE.late)} late with old timestamps, ${percent(MIXTURE.withdrawn)} deleted; ${percent(MIXTURE.newcomers)} by new users (${RATINGS_A_NEWCOMER} each), ${percent(MIXTURE.left)} deleted by users who leave`;

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

export interface ChangeOptions {
  /** Share of the source's ratings that change. */
  share: number;
  /** The day of what is new: from the as-of of the night before to that of the next one. */
  from: Date;
  to: Date;
}

/** Rows by what became of them. */
export interface Change {
  share: number;
  rows: number;
  fresh: number;
  newcomers: number;
  corrected: number;
  late: number;
  deleted: number;
}

/** Most movie ids fit in so many bits, and what is left of 64 holds the users. */
const MOVIES = 2 ** 22;
/** Popular movies are drawn in proportion to their ratings: from about so many of these. */
const POOL = 20_000;
/** So many draws for one rating that is wanted: some movies are drawn twice, or were rated before. */
const DRAWS = 3;

/** 2026-01-01, from which days are numbered. */
const FIRST_DAY = 20_454;
/** Draws of a day, and room for more. */
const PURPOSES = 100;

const USER = sql<number>`user_id::bigint`;
const PAIR = sql<number>`user_id::bigint * ${sql.lit(MOVIES)} + movie_id`;

/** A number from 0 up to 1 that a key always has, on a day and for a purpose. */
type Draw = (key: RawBuilder<number>, purpose: number) => RawBuilder<number>;

/** PostgreSQL keeps these hashes as they are: partitions go by them. */
function drawOf(day: Date): Draw {
  const first = (Math.floor(day.getTime() / 86_400_000) - FIRST_DAY) * PURPOSES;
  return (key, purpose) =>
    sql<number>`((hashint8extended(${key}, ${sql.lit(first + purpose)}) & 9007199254740991) / 9007199254740992.0::float8)`;
}

/** Changes a share of the source in one transaction, set by set. */
export function changeSource(connection: Connection, options: ChangeOptions): Promise<Change> {
  return transaction(connection, async ({ db }) => {
    const { share, from, to } = options;
    const draw = drawOf(from);
    const { ratings, newest } = await db
      .selectFrom('movielens.ratings')
      .select(({ fn }) => [fn.countAll<number>().as('ratings'), fn.max<number>('user_id').as('newest')])
      .executeTakeFirstOrThrow();
    const wanted = (kind: keyof typeof MIXTURE): number => Math.round(ratings * share * MIXTURE[kind]);
    const today = (key: RawBuilder<number>, seed: number): RawBuilder<Date> =>
      sql<Date>`${instant(from)} + ${draw(key, seed)} * (${instant(to)} - ${instant(from)})`;

    await createPool(db, draw, POOL / ratings);
    const theirs = await chooseActive(db, draw);
    const ofTheirs = (kind: keyof typeof MIXTURE): number => Math.min(1, wanted(kind) / theirs);
    const active = db.selectFrom(sql<{ user_id: number }>`active`.as('active')).select('user_id');
    await drawIncoming(db, draw, { fresh: wanted('fresh'), newcomers: wanted('newcomers'), newest, today });
    await drawLate(db, draw, ofTheirs('late'));
    const deleted = await db
      .deleteFrom('movielens.ratings')
      .where((eb) =>
        eb.or([
          eb.and([eb('user_id', 'in', active), eb(draw(PAIR, 1), '<', ofTheirs('withdrawn'))]),
          eb(draw(USER, 2), '<', share * MIXTURE.left),
        ]),
      )
      .executeTakeFirstOrThrow();
    const corrected = await db
      .updateTable('movielens.ratings')
      .set({
        // Between 1.5 and 4 stars, and never what they were.
        rating: sql`rating + (case when rating > 2.5 then -0.5 else 0.5 end) * (1 + floor(${draw(PAIR, 4)} * 3))`,
        rating_timestamp: sql`case when ${draw(PAIR, 5)} < 0.5 then rating_timestamp else ${today(PAIR, 6)} end`,
      })
      .where('user_id', 'in', active)
      .where(draw(PAIR, 3), '<', ofTheirs('corrected'))
      .executeTakeFirstOrThrow();
    const inserted = await insertIncoming(db);
    const counts = {
      fresh: inserted.get('fresh') ?? 0,
      newcomers: inserted.get('newcomers') ?? 0,
      corrected: Number(corrected.numUpdatedRows),
      late: inserted.get('late') ?? 0,
      deleted: Number(deleted.numDeletedRows),
    };
    return { share, rows: Object.values(counts).reduce((sum, rows) => sum + rows, 0), ...counts };
  });
}

/** The source knows no zones: its timestamps are UTC. */
function instant(at: Date): RawBuilder<Date> {
  return sql<Date>`${sql.lit(at.toISOString().slice(0, 19))}::timestamp`;
}

/** Ratings by number, to draw movies and stars from. */
async function createPool(db: Db, draw: Draw, share: number): Promise<void> {
  await sql`
    create temporary table pool on commit drop as
    select row_number() over (order by ${draw(PAIR, 7)}, user_id, movie_id) as place, movie_id, rating
    from movielens.ratings where ${draw(PAIR, 7)} < ${sql.lit(share)}::float8`.execute(db);
  await sql`alter table pool add primary key (place)`.execute(db);
  await sql`analyze pool`.execute(db);
}

/** What is new today: of few known users, and of new ones with the ids after the newest. */
async function drawIncoming(
  db: Db,
  draw: Draw,
  {
    fresh,
    newcomers,
    newest,
    today,
  }: {
    fresh: number;
    newcomers: number;
    newest: number;
    today: (key: RawBuilder<number>, seed: number) => RawBuilder<Date>;
  },
): Promise<void> {
  const pick = sql<number>`user_id::bigint * ${sql.lit(MOVIES)} + turn`;
  await sql`
    create temporary table incoming on commit drop as
    with turns as (
      select 'fresh' as kind, user_id, turn, wanted from active,
        lateral (select ceil(${sql.lit(fresh)}::numeric / (select count(*) from active))::integer as wanted) one,
        generate_series(1, wanted * ${sql.lit(DRAWS)}) turn
      union all
      select 'newcomers', ${sql.lit(newest)} + newcomer, turn, ${sql.lit(RATINGS_A_NEWCOMER)}
      from generate_series(1, ${sql.lit(Math.round(newcomers / RATINGS_A_NEWCOMER))}) newcomer,
        generate_series(1, ${sql.lit(RATINGS_A_NEWCOMER * DRAWS)}) turn
    ),
    drawn as (
      select distinct on (user_id, movie_id) kind, user_id, movie_id, turn, wanted, pool.rating
      from turns join pool on place = 1 + floor(${draw(pick, 9)} * (select count(*) from pool))::bigint
      order by user_id, movie_id, turn
    ),
    numbered as (
      select *, row_number() over (partition by user_id order by turn) as number
      from drawn where not exists (
        select from movielens.ratings r where r.user_id = drawn.user_id and r.movie_id = drawn.movie_id)
    )
    select kind, user_id, movie_id, rating, ${today(pick, 10)} as rating_timestamp
    from numbered where number <= wanted`.execute(db);
  await sql`analyze incoming`.execute(db);
}

/** Who does something today. @returns how many ratings they have */
async function chooseActive(db: Db, draw: Draw): Promise<number> {
  await sql`
    create temporary table active on commit drop as
    with known as (select distinct user_id from movielens.ratings where user_id is not null)
    select user_id from known order by ${draw(USER, 8)}
    limit greatest(1, (select round(count(*) * ${sql.lit(ACTIVE_USERS)}) from known))`.execute(db);
  await sql`analyze active`.execute(db);
  const { rows } = await sql<{ ratings: number }>`
    select count(*) as ratings from movielens.ratings where user_id in (select user_id from active)`.execute(
    db,
  );
  return rows[0].ratings;
}

/** What comes late: an active user rates one movie more, at a time when others of theirs were. */
async function drawLate(db: Db, draw: Draw, share: number): Promise<void> {
  await sql`
    create temporary table late on commit drop as
    select distinct on (user_id, movie_id) drawn.user_id, pool.movie_id, pool.rating, drawn.rating_timestamp
    from (
      select user_id, rating_timestamp, ${draw(PAIR, 12)} as place
      from movielens.ratings
      where user_id in (select user_id from active) and ${draw(PAIR, 11)} < ${sql.lit(share)}::float8
    ) drawn join pool on pool.place = 1 + floor(drawn.place * (select count(*) from pool))::bigint
    order by user_id, movie_id, rating_timestamp`.execute(db);
  // Otherwise the planner takes them for few, and goes through the source, which has no index, for each of them.
  await sql`analyze late`.execute(db);
  await sql`
    insert into incoming
    select 'late', user_id, movie_id, rating, rating_timestamp from late
    where not exists (
        select from movielens.ratings r where r.user_id = late.user_id and r.movie_id = late.movie_id)
      and not exists (select from incoming i where i.user_id = late.user_id and i.movie_id = late.movie_id)`.execute(
    db,
  );
}

async function insertIncoming(db: Db): Promise<Map<string, number>> {
  await sql`
    insert into movielens.ratings (user_id, movie_id, rating, rating_timestamp)
    select user_id, movie_id, rating, rating_timestamp from incoming
    order by rating_timestamp, user_id, movie_id`.execute(db);
  const { rows } = await sql<{ kind: string; rows: number }>`
    select kind, count(*) as rows from incoming group by kind`.execute(db);
  return new Map(rows.map(({ kind, rows: count }) => [kind, count]));
}

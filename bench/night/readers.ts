import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { ReadPlan, ReadReport } from './reads.ts';

const READER = fileURLToPath(new URL('./reader.ts', import.meta.url));

/** Starts reading in a process of its own; returns what ends it and gives what it found. */
export function startReaders(plan: ReadPlan): () => Promise<ReadReport> {
  const reader = fork(READER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const found = Promise.race([
    once(reader, 'message').then(([report]) => report as ReadReport),
    once(reader, 'exit').then(([code]) => {
      throw new Error(`the process that reads ended too early, with code ${String(code)}`);
    }),
  ]);
  found.catch(() => undefined);
  reader.send(plan);
  return () => {
    if (reader.connected) reader.send('stop');
    return found;
  };
}

/** Enough that no page of the tables is read by everybody. */
const USERS = 20_000;
const MOVIES = 2_000;

/**
 * Users and movies whom every answer has rows for, before the next night and after it: users with a list who are still
 * in the source, and of the movies with neighbours the most rated ones, of which none falls below the floor.
 */
export async function chooseKeys(db: Db): Promise<Pick<ReadPlan, 'users' | 'movies'>> {
  const scattered = sql`hashint4extended(user_id, 0)`;
  const users = await db
    .selectFrom(
      db
        .selectFrom('recommendations.batch_recs')
        .select('user_id')
        .where('rank', '=', 1)
        .intersect(
          db.selectFrom('movielens.ratings').select((eb) => eb.ref('user_id').$notNull().as('user_id')),
        )
        .as('known'),
    )
    .select('user_id')
    .orderBy(scattered)
    .limit(USERS)
    .execute();
  const movies = await sql<{ movie_id: number }>`
    select movie_id from (
      select s.movie_id, ntile(4) over (order by s.total_ratings desc, s.movie_id) as quarter
      from serving.movie_stats s
      where exists (select from recommendations.similar_movies n where n.movie_id = s.movie_id)
    ) rated where quarter = 1 order by hashint4extended(movie_id, 0) limit ${MOVIES}`.execute(db);
  return {
    users: users.map(({ user_id }) => user_id),
    movies: movies.rows.map(({ movie_id }) => movie_id),
  };
}

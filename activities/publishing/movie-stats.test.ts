import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestDatabase, createTestDatabase } from '../../test/support/database.ts';
import { closeRun, insertRun } from '../../test/support/runs.ts';
import { type SourceRating, insertMovies, insertRatings } from '../../test/support/source.ts';
import { SMALL, createStages, makeSnapshot } from '../../test/support/stages.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const MOVIES = 40;
const OLD = '2025-06-01T00:00:00';
const RECENT = '2026-01-20T00:00:00';

/** Users who rated every movie long ago, and those who did so too and have rated one of them anew. */
function ratings(users: number, active: number): SourceRating[] {
  return Array.from({ length: users * MOVIES }, (_, at) => {
    const user = Math.floor(at / MOVIES) + 1;
    const movie = (at % MOVIES) + 1;
    return [user, movie, 3, user <= active && movie === user ? RECENT : OLD];
  });
}

// Whoever has rated recently has a twentieth of the ratings, and is looked up; or half of them, and all are read.
for (const active of [1, 10]) {
  test(`counts what is recent where ${active} of 20 users have rated recently`, async () => {
    await database.pool.query('truncate movielens.ratings, movielens.movies');
    await insertMovies(
      database,
      Array.from({ length: MOVIES }, (_, movie) => [movie + 1, `Film ${movie + 1} (2000)`, 'Drama']),
    );
    await insertRatings(database, ratings(20, active));
    const stages = createStages(database);
    const run = await insertRun(database, {
      asOf: `2026-01-31T00:00:${String(active).padStart(2, '0')}Z`,
      overrides: SMALL,
    });
    await makeSnapshot(stages, run);
    await stages.computeMovieStats({ run });
    const { rows } = await database.pool.query<Record<string, unknown>>(
      `select movie_id, total_ratings, recent_ratings, recent_avg_rating, latest_rating
       from store.movie_stats where run = $1 order by movie_id`,
      [run],
    );
    expect(rows).toEqual(
      Array.from({ length: MOVIES }, (_, at) => {
        const isRecent = at < active;
        return {
          movie_id: at + 1,
          total_ratings: 20,
          recent_ratings: isRecent ? 1 : 0,
          recent_avg_rating: isRecent ? 3 : 0,
          latest_rating: isRecent ? new Date(`${RECENT}Z`) : null,
        };
      }),
    );
    await closeRun(database, run, 'failed');
  });
}

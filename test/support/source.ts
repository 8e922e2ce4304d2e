import type { Connection } from '../../database/connect.ts';

/** A rating as a source may hold it: anything may be missing or wrong. */
export type SourceRating = [
  user: number | null,
  movie: number | null,
  rating: number | null,
  at: string | null,
];

export async function insertRatings({ pool }: Connection, ratings: SourceRating[]): Promise<void> {
  await pool.query(
    `insert into movielens.ratings (user_id, movie_id, rating, rating_timestamp)
     select * from unnest($1::integer[], $2::integer[], $3::real[], $4::timestamp[])`,
    [0, 1, 2, 3].map((column) => ratings.map((rating) => rating[column])),
  );
}

export async function insertMovies(
  { pool }: Connection,
  movies: [number | null, string | null, string | null][],
) {
  await pool.query(
    `insert into movielens.movies (movie_id, title, genres) select * from unnest($1::integer[], $2::text[], $3::text[])`,
    [0, 1, 2].map((column) => movies.map((movie) => movie[column])),
  );
}

export async function emptySource({ pool }: Connection): Promise<void> {
  await pool.query('truncate movielens.ratings, movielens.movies, movielens.loads');
}

/** `users` users with about half of `movies` movies each, rated within January 2026. */
export async function fillSource(connection: Connection, users: number, movies: number): Promise<void> {
  await insertMovies(
    connection,
    Array.from({ length: movies }, (_, movie) => [
      movie + 1,
      `Film ${movie + 1} (${1950 + movie})`,
      movie % 2 === 0 ? 'Drama|Crime' : 'Comedy',
    ]),
  );
  const ratings: SourceRating[] = [];
  for (let user = 1; user <= users; user++) {
    for (let movie = 1; movie <= movies; movie++) {
      const draw = (user * 7919 + movie * 104_729) % 97;
      if (draw % 2 === 0) continue;
      const day = String(1 + (draw % 28)).padStart(2, '0');
      ratings.push([user, movie, 0.5 + (draw % 10) / 2, `2026-01-${day} 12:00:00`]);
    }
  }
  await insertRatings(connection, ratings);
}

import { sql } from 'kysely';
import type { Connection, Db } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import type { StageAttempt } from '../support/stage.ts';

/** A part of the source that is read in one transaction. */
export interface Chunk {
  /** Key of the finished chunk. */
  name: string;
  from: 'movielens.ratings' | 'movielens.movies';
  into: 'bronze.ratings' | 'bronze.movies';
  /** Columns of the source with their casts to bronze's loose types, and their names in bronze. */
  columns: string;
  targets: readonly string[];
  where: string;
}

const RATINGS = {
  from: 'movielens.ratings',
  into: 'bronze.ratings',
  columns: 'user_id::bigint, movie_id::bigint, rating::double precision, rating_timestamp::timestamptz',
  targets: ['user_id', 'movie_id', 'rating', 'rating_timestamp'],
} as const;

const MOVIES: Chunk = {
  name: 'movies',
  from: 'movielens.movies',
  into: 'bronze.movies',
  columns: 'movie_id::bigint, title::text, genres::text',
  targets: ['movie_id', 'title', 'genres'],
  where: '',
};

/** A few seconds of reading: what a crash may cost. */
const RATINGS_PER_CHUNK = 2_000_000;

/** Key under which the plan itself is kept: a retry must cut the source in the same places. */
const PLAN = 'plan';

/**
 * Cuts the ratings into ranges of user_id, the first with the rows without one. Ranges rather than pages of the
 * table: a rating that is updated between an attempt and its retry stays in its chunk.
 */
export async function planChunks(attempt: StageAttempt, source: Connection): Promise<Chunk[]> {
  const planned = [...(await attempt.finishedChunks()).keys()].find((name) => name.startsWith(PLAN));
  const bounds =
    planned === undefined
      ? await transaction(source, ({ db }) => chooseBounds(db), { signal: attempt.signal })
      : parsePlan(planned);
  if (planned === undefined) {
    await attempt.writeChunk(`${PLAN} ${bounds.join(' ')}`.trim(), () => Promise.resolve(0));
  }
  return [MOVIES, ...toChunks(bounds)];
}

function parsePlan(name: string): number[] {
  return name.split(' ').slice(1).map(Number);
}

async function chooseBounds(db: Db): Promise<number[]> {
  const { first, last, count } = await db
    .selectFrom('movielens.ratings')
    .select(({ fn }) => [
      fn.min<number | null>(sql<number>`user_id::bigint`).as('first'),
      fn.max<number | null>(sql<number>`user_id::bigint`).as('last'),
      fn.countAll<number>().as('count'),
    ])
    .executeTakeFirstOrThrow();
  const chunks = Math.ceil(count / RATINGS_PER_CHUNK);
  if (first === null || last === null || chunks < 2) return [];
  const width = (last - first + 1) / chunks;
  return Array.from({ length: chunks - 1 }, (_, at) => Math.floor(first + width * (at + 1)));
}

/** Open at both ends, so that a user who is new since the plan is in a chunk too. */
function toChunks(bounds: number[]): Chunk[] {
  return Array.from({ length: bounds.length + 1 }, (_, at) => {
    const from = at === 0 ? null : bounds[at - 1];
    const to = at === bounds.length ? null : bounds[at];
    const range = [
      ...(from === null ? [] : [`user_id >= ${from}`]),
      ...(to === null ? [] : [`user_id < ${to}`]),
    ];
    const condition = range.join(' and ');
    const where = at === 0 && condition !== '' ? `${condition} or user_id is null` : condition;
    return {
      ...RATINGS,
      name: `users ${from ?? ''}..${to ?? ''}`,
      where: where === '' ? '' : `where ${where}`,
    };
  });
}

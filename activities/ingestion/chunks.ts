import { sql } from 'kysely';
import type { StageAttempt } from '../support/stage.ts';
import type { SourceReader } from './source-reader.ts';

/** A part of the source's ratings that is read in one transaction. */
export interface Chunk {
  /** Key of the finished chunk. */
  name: string;
  /** Among all of them, from 0. */
  place: number;
  /** SQL condition; together those of all chunks hold for every row once. */
  where: string;
}

/** About as much either way, a second or two of reading: what a crash may cost. */
const PAGES_PER_CHUNK = 16_000;
const RATINGS_PER_CHUNK = 2_000_000;

/** Key under which the plan itself is kept: a retry must cut the source in the same places. */
const PLAN = 'plan';

/** How a source is cut: a table by its pages, each of which is read once; anything else (a view, partitions) by users. */
type Cut = 'pages' | 'users';

/** Cuts the ratings of the source into chunks, or finds how an earlier attempt has cut them. */
export async function planChunks(attempt: StageAttempt, reader: SourceReader): Promise<Chunk[]> {
  const planned = [...(await attempt.finishedChunks()).keys()].find((name) => name.startsWith(PLAN));
  if (planned !== undefined) {
    const [, cut, ...bounds] = planned.split(' ');
    return toChunks(cut as Cut, bounds.map(Number));
  }
  const { cut, bounds } = await chooseBounds(reader);
  await attempt.writeChunk([PLAN, cut, ...bounds].join(' '), () => Promise.resolve(0));
  return toChunks(cut, bounds);
}

async function chooseBounds(reader: SourceReader): Promise<{ cut: Cut; bounds: number[] }> {
  const [{ pages }] = await reader.ask(sql<{ pages: number | null }>`
    select case relkind when 'r' then pg_relation_size(oid) / current_setting('block_size')::integer end as pages
    from pg_class where oid = 'movielens.ratings'::regclass`);
  if (pages !== null)
    return { cut: 'pages', bounds: cutEvenly(0, pages, Math.ceil(pages / PAGES_PER_CHUNK)) };
  const [{ first, last, ratings }] = await reader.ask(sql<{
    first: number | null;
    last: number | null;
    ratings: number;
  }>`
    select min(user_id)::bigint as first, max(user_id)::bigint as last, count(*) as ratings from movielens.ratings`);
  if (first === null || last === null) return { cut: 'users', bounds: [] };
  return { cut: 'users', bounds: cutEvenly(first, last + 1, Math.ceil(ratings / RATINGS_PER_CHUNK)) };
}

/** The bounds between `parts` parts of a range. */
function cutEvenly(from: number, to: number, parts: number): number[] {
  return Array.from({ length: Math.max(0, parts - 1) }, (_, at) =>
    Math.floor(from + ((to - from) * (at + 1)) / parts),
  );
}

/** Open at both ends: a table that has grown since the plan is read to its end, rows without a user are in the first. */
function toChunks(cut: Cut, bounds: number[]): Chunk[] {
  const [column, value] =
    cut === 'pages'
      ? ['ctid', (page: number) => `'(${page},0)'::tid`]
      : ['user_id', (user: number) => `${user}`];
  return Array.from({ length: bounds.length + 1 }, (_, at) => {
    const from = at === 0 ? null : bounds[at - 1];
    const to = at === bounds.length ? null : bounds[at];
    const range = [
      ...(from === null ? [] : [`${column} >= ${value(from)}`]),
      ...(to === null ? [] : [`${column} < ${value(to)}`]),
    ];
    const condition = range.length === 0 ? 'true' : range.join(' and ');
    return {
      place: at,
      name: `${cut} ${from ?? ''}..${to ?? ''}`,
      where: at === 0 && cut === 'users' ? `(${condition} or user_id is null)` : condition,
    };
  });
}

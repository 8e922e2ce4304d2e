import { sql } from 'kysely';
import type { Db } from '../../database/connect.ts';
import type { Measurements } from './check.ts';

const NUMBER = ['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision'];
const INSTANT = ['timestamp without time zone', 'timestamp with time zone'];

/** What may be read as what bronze expects. */
const EXPECTED: Record<string, Record<string, string[]>> = {
  ratings: {
    user_id: ['smallint', 'integer', 'bigint'],
    movie_id: ['smallint', 'integer', 'bigint'],
    rating: NUMBER,
    rating_timestamp: INSTANT,
  },
  movies: {
    movie_id: ['smallint', 'integer', 'bigint'],
    title: ['text', 'character varying', 'character'],
    genres: ['text', 'character varying', 'character'],
  },
};

/** Looks at the source's catalogue, and counts, a pass a table, only where the tables are what they should be. */
export async function measureSource(db: Db): Promise<Measurements> {
  const { rows } = await sql<{ table: string; column: string; type: string }>`
    select c.relname as table, a.attname as column, format_type(a.atttypid, null) as type
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'movielens' and c.relname in ('ratings', 'movies') and a.attnum > 0 and not a.attisdropped`.execute(
    db,
  );
  const problems = Object.entries(EXPECTED).flatMap(([table, columns]) => {
    const present = new Map(
      rows.filter((row) => row.table === table).map(({ column, type }) => [column, type]),
    );
    if (present.size === 0) return [`no table movielens.${table}`];
    return Object.entries(columns).flatMap(([column, types]) => {
      const type = present.get(column);
      if (type === undefined) return [`no column movielens.${table}.${column}`];
      return types.includes(type) ? [] : [`movielens.${table}.${column} of type ${type}`];
    });
  });
  if (problems.length > 0) {
    const unseen = { observed: null, finding: 'tables that cannot be read' };
    return {
      checks: {
        source_columns: { observed: problems.length, finding: problems.join(', '), sample: problems },
        ratings_minimum: unseen,
        movies_present: unseen,
      },
    };
  }
  const count = async (table: 'movielens.ratings' | 'movielens.movies'): Promise<number> =>
    (
      await db
        .selectFrom(table)
        .select(({ fn }) => fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow()
    ).rows;
  return {
    checks: {
      source_columns: { observed: 0 },
      ratings_minimum: { observed: await count('movielens.ratings') },
      movies_present: { observed: await count('movielens.movies') },
    },
  };
}

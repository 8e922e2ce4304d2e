import { sql } from 'kysely';
import type { Connection, Db } from '../database/connect.ts';
import { type Session, transaction } from '../database/session.ts';
import { createSource } from '../database/source.ts';
import { UsageError } from '../config/settings.ts';

export interface Loaded {
  ratings: number;
  movies: number;
}

/** How far a load has come. */
export interface LoadProgress {
  what: 'ratings' | 'movies' | 'zip';
  /** Rows that were sent; bytes of a zip that came. */
  done: number;
  /** … of all that there are, from 0 to 1; 0 where that is not known. */
  share: number;
}

export interface LoadOptions {
  /** Ends the load; the source is then as it was. */
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
}

export type SourceState = 'empty' | 'ours' | 'foreign';

/**
 * Whether the source may be loaded into: it is empty (or missing), was loaded by us before, or belongs to
 * somebody else.
 */
export async function sourceState({ db }: { db: Db }): Promise<SourceState> {
  if (await exists(db, 'movielens.loads')) {
    const mark = await db.selectFrom('movielens.loads').select('source').limit(1).executeTakeFirst();
    if (mark !== undefined) return 'ours';
  }
  for (const table of ['movielens.ratings', 'movielens.movies'] as const) {
    if (!(await exists(db, table))) continue;
    // By no column: somebody else's may have others.
    const row = await db
      .selectFrom(table)
      .select(sql`1`.as('row'))
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined) return 'foreign';
  }
  return 'empty';
}

async function exists(db: Db, table: string): Promise<boolean> {
  const { rows } = await sql<{ there: boolean }>`select to_regclass(${table}) is not null as there`.execute(
    db,
  );
  return rows[0].there;
}

/**
 * Replaces the source's content by what `fill` writes, in one transaction: of a failed load nothing stays.
 * @param name what the loader's mark says was loaded
 * @throws UsageError where the source holds what the loader did not put there; what `signal` was aborted with
 */
export async function replaceSource<Result extends Loaded>(
  source: Connection,
  name: string,
  fill: (session: Session) => Promise<Result>,
  { signal }: LoadOptions,
): Promise<Result> {
  await refuseForeign(source);
  const load = async (session: Session): Promise<Result> => {
    const { db } = session;
    await createSource(db);
    await sql`lock table movielens.ratings, movielens.movies, movielens.loads`.execute(db);
    // Once more, now that nobody can put anything there.
    await refuseForeign(session);
    await sql`truncate movielens.ratings, movielens.movies, movielens.loads`.execute(db);
    const loaded = await fill(session);
    const { ratings, movies } = loaded;
    await db.insertInto('movielens.loads').values({ source: name, ratings, movies }).execute();
    await sql`analyze movielens.ratings, movielens.movies`.execute(db);
    return loaded;
  };
  return transaction(source, load, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

/**
 * Looks whether the source may be loaded into.
 * @throws UsageError where it holds what the loader did not put there
 */
export async function refuseForeign(source: { db: Db }): Promise<void> {
  if ((await sourceState(source)) !== 'foreign') return;
  throw new UsageError(
    'the source holds ratings that Nightjar did not load (no mark in movielens.loads); it only loads into an empty source or over its own data',
  );
}

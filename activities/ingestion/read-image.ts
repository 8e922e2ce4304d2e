/** A whole image, read by COPY once for all that needs each of its ratings. */

import { sql } from 'kysely';
import type { Connection } from '../../database/connect.ts';
import { copyIn, copyOut } from '../../database/copy.ts';
import { eachFixedRow, encodeRows, readFixedColumns } from '../../database/copy-binary.ts';
import { copyBeside } from '../../database/gather.ts';
import type { Session } from '../../database/session.ts';
import type { RatingCounts } from '../../database/types/index.ts';
import { leavesOf } from '../../database/versions.ts';
import { NotEnoughMemoryError, RatingColumns } from '../../recommender/index.ts';
import { Block, MOVIE_SUMS, MovieSums, type Thresholds } from './movie-sums.ts';

export interface ReadImage {
  ratingCounts: RatingCounts;
  /** Its ratings, for the split; null where there is no memory for them. */
  columns: RatingColumns | null;
}

/** A column of the COPY and its bytes. */
const COLUMNS = { user_id: 4, movie_id: 4, rating: 4, rating_timestamp: 8 };

/**
 * Reads the image of `run`, which has so many `rows`: its parts side by side, each as a table, in the view of the transaction. To
 * group 25 million ratings by movie takes PostgreSQL as long as to send them, and the split needs them here.
 * @param table a temporary table of sums by movie, to be made: `MOVIE_SUMS`
 * @throws where the image has another number of rows
 */
export async function readImage(
  connection: Connection,
  { db, client }: Session,
  { run, rows, table, ...thresholds }: { run: number; rows: number; table: string } & Thresholds,
  signal: AbortSignal,
): Promise<ReadImage> {
  const sums = new MovieSums(await readMovies({ db, client }, run));
  const columns = tryColumns(rows);
  try {
    let filled = 0;
    const block = new Block();
    const addBlock = (): void => {
      sums.add(block);
      block.count = 0;
    };
    const take = (bytes: DataView, at: number): void => {
      const [user, movie, rating] = [
        bytes.getInt32(at + 4),
        bytes.getInt32(at + 12),
        bytes.getFloat32(at + 20),
      ];
      const row = filled++;
      if (columns !== null) {
        columns.users[row] = user;
        columns.items[row] = movie;
        columns.ratings[row] = rating;
      }
      if (block.put(movie, rating, bytes.getInt32(at + 28), bytes.getInt32(at + 32))) addBlock();
    };
    const tables = await leavesOf(db, 'silver.ratings', run);
    const widths = Object.values(COLUMNS);
    await copyBeside(
      connection,
      client,
      { tables, columns: Object.keys(COLUMNS) },
      (copy) => eachFixedRow(copy, widths, take),
      signal,
    );
    addBlock();
    if (filled !== rows)
      throw new Error(`run ${run}: its image holds ${filled} ratings, ${rows} were written`);
    await sql`create temporary table ${sql.table(table)} (${sql.raw(MOVIE_SUMS)}) on commit drop`.execute(db);
    const made = sums.rows(thresholds);
    await copyIn(client, { table, options: 'format binary' }, encodeRows(made.columns, made.rows));
    return { ratingCounts: sums.ratingCounts(), columns };
  } catch (error) {
    columns?.release();
    throw error;
  }
}

async function readMovies({ db, client }: Session, run: number): Promise<Int32Array> {
  const { movies } = await db
    .selectFrom('silver.movies')
    .where('run', '=', sql.lit(run))
    .select(({ fn }) => fn.countAll<number>().as('movies'))
    .executeTakeFirstOrThrow();
  const ids = new Int32Array(movies);
  const query = sql`select movie_id from silver.movies where run = ${sql.lit(run)} order by movie_id`;
  await readFixedColumns(copyOut(client, query.compile(db).sql), { columns: [ids], filled: 0 });
  return ids;
}

/** The night goes on without: whoever wants them reads the image. */
function tryColumns(rows: number): RatingColumns | null {
  try {
    return new RatingColumns(rows);
  } catch (error) {
    if (error instanceof NotEnoughMemoryError) return null;
    throw error;
  }
}

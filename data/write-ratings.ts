import { sql } from 'kysely';
import { copyIn } from '../database/copy.ts';
import { type WireColumn, encodeBlocks } from '../database/copy-columns.ts';
import type { Session } from '../database/session.ts';
import { RATING_COLUMNS, createRatingStaging, hasOwnRatingTypes } from '../database/source.ts';
import type { RatingBlock } from './rating-block.ts';

const COLUMNS = Object.keys(RATING_COLUMNS);
/** Takes the rows where the source's own table has other types. */
const STAGING = 'incoming_ratings';

/**
 * Streams ratings into the source's table, which the session's transaction must just have emptied.
 * @param block holds the rows of one fill after another
 * @param fills fills it, and gives the number of rows each time
 * @returns the number of ratings
 */
export async function writeRatings(
  { client, db }: Session,
  block: RatingBlock,
  fills: AsyncIterable<number>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const columns: WireColumn[] = [
    { type: 'int4', values: block.users },
    { type: 'int4', values: block.movies },
    { type: 'float4', values: block.ratings },
    { type: 'timestamp', values: block.seconds },
  ];
  const copy = (table: string, format: string): Promise<number> =>
    copyIn(client, { table, columns: COLUMNS, options: format }, encodeBlocks(columns, fills), { signal });
  // Frozen, because else the first to read the rows writes every page again, to mark them as committed.
  if (await hasOwnRatingTypes(db)) return copy('movielens.ratings', 'format binary, freeze');
  await createRatingStaging(db, STAGING);
  const rows = await copy(STAGING, 'format binary');
  const list = sql.join(COLUMNS.map((column) => sql.ref(column)));
  await sql`insert into movielens.ratings (${list}) select ${list} from ${sql.table(STAGING)}`.execute(db);
  return rows;
}

import { type WireType, encodeRows } from '../../database/copy-binary.ts';
import { copyIn } from '../../database/copy.ts';
import type { Session } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import type { RankedLists } from '../../recommender/index.ts';

const TYPES: WireType[] = ['int4', 'int4', 'int2', 'int4', 'float8'];

/**
 * Streams ranked lists into a detached partition: run, list id, rank from 1, item, score at four digits.
 * @returns the number of rows
 */
export function writeLists(
  session: Session,
  run: number,
  {
    table,
    columns,
  }: { table: 'store.batch_recs' | 'store.similar_movies'; columns: [string, string, string] },
  lists: RankedLists,
): Promise<number> {
  return copyLists(session, run, { table: partitionName(table, run), columns }, lists);
}

/** The same into any table. */
export function copyLists(
  { client }: Session,
  run: number,
  { table, columns }: { table: string; columns: [string, string, string] },
  lists: RankedLists,
): Promise<number> {
  const { ids, counts, capacity, items, scores } = lists;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  // Rows are asked for in order, column by column: the place in the lists moves on with the last column.
  let list = 0;
  let rank = 0;
  const value = (_row: number, column: number): number => {
    if (column === 0) {
      while (rank === counts[list]) {
        list++;
        rank = 0;
      }
      rank++;
      return run;
    }
    const at = list * capacity + rank - 1;
    return [run, ids[list], rank, items[at], roundScore(scores[at])][column];
  };
  return copyIn(
    client,
    {
      table,
      columns: ['run', columns[0], 'rank', columns[1], columns[2]],
      options: 'format binary',
    },
    encodeRows(TYPES, rows, value),
  );
}

/** Half away from zero at four digits. */
export function roundScore(value: number): number {
  return (Math.sign(value) * Math.round(Math.abs(value) * 1e4)) / 1e4;
}

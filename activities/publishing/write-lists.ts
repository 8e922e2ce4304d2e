import { encodeRows } from '../../database/copy-binary.ts';
import { copyIn } from '../../database/copy.ts';
import type { Session } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import type { RankedLists } from '../../recommender/index.ts';

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
  const { rows, ids, ranks, items, scores } = entriesOf(lists);
  return copyIn(
    client,
    {
      table,
      columns: ['run', columns[0], 'rank', columns[1], columns[2]],
      options: 'format binary',
    },
    encodeRows(
      [
        { type: 'int4', values: new Int32Array(rows).fill(run) },
        { type: 'int4', values: ids },
        { type: 'int2', values: ranks },
        { type: 'int4', values: items },
        { type: 'float8', values: scores },
      ],
      rows,
    ),
  );
}

/** The entries of lists one after the other, as columns. */
function entriesOf({ ids, counts, capacity, items, scores }: RankedLists) {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const entries = {
    rows,
    ids: new Int32Array(rows),
    ranks: new Int32Array(rows),
    items: new Int32Array(rows),
    scores: new Float64Array(rows),
  };
  for (let list = 0, row = 0; list < ids.length; list++) {
    for (let place = 0; place < counts[list]; place++, row++) {
      const at = list * capacity + place;
      entries.ids[row] = ids[list];
      entries.ranks[row] = place + 1;
      entries.items[row] = items[at];
      entries.scores[row] = roundScore(scores[at]);
    }
  }
  return entries;
}

/** Half away from zero at four digits. */
export function roundScore(value: number): number {
  return (Math.sign(value) * Math.round(Math.abs(value) * 1e4)) / 1e4;
}

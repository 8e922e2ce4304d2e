import { type WireColumn, encodeHeader, encodeTrailer, encodeTuples } from '../../database/copy-binary.ts';
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
  return copyIn(
    client,
    {
      table,
      columns: ['run', columns[0], 'rank', columns[1], columns[2]],
      options: 'format binary',
    },
    encodeLists(run, lists),
  );
}

/** So many entries are laid out as columns at a time, in the same arrays: garbage of this size would be collected at once. */
const ENTRIES = 1 << 14;

function* encodeLists(run: number, { ids, counts, capacity, items, scores }: RankedLists): Generator<Buffer> {
  const users = new Int32Array(ENTRIES);
  const ranks = new Int32Array(ENTRIES);
  const listed = new Int32Array(ENTRIES);
  const rounded = new Float64Array(ENTRIES);
  const columns: WireColumn[] = [
    { type: 'int4', values: new Int32Array(ENTRIES).fill(run) },
    { type: 'int4', values: users },
    { type: 'int2', values: ranks },
    { type: 'int4', values: listed },
    { type: 'float8', values: rounded },
  ];
  yield encodeHeader();
  let entries = 0;
  for (let list = 0; list < ids.length; list++) {
    for (let place = 0; place < counts[list]; place++) {
      users[entries] = ids[list];
      ranks[entries] = place + 1;
      listed[entries] = items[list * capacity + place];
      rounded[entries] = roundScore(scores[list * capacity + place]);
      if (++entries < ENTRIES) continue;
      yield* encodeTuples(columns, entries);
      entries = 0;
    }
  }
  yield* encodeTuples(columns, entries);
  yield encodeTrailer();
}

/** Half away from zero at four digits. */
export function roundScore(value: number): number {
  return (Math.sign(value) * Math.round(Math.abs(value) * 1e4)) / 1e4;
}

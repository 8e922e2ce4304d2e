import { type WireColumn, encodeBlocks } from '../../database/copy-columns.ts';
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
  const block = createBlock(run);
  return copyIn(
    client,
    {
      table,
      columns: ['run', columns[0], 'rank', columns[1], columns[2]],
      options: 'format binary',
    },
    encodeBlocks(Object.values(block), fillFrom(lists, block)),
  );
}

/** So many entries are encoded at a time, from the same arrays: garbage of their size would be collected at once. */
const ENTRIES = 1 << 12;

/** Columns in the order of the COPY's. */
function createBlock(run: number) {
  return {
    run: { type: 'int4', values: new Int32Array(ENTRIES).fill(run) },
    ids: { type: 'int4', values: new Int32Array(ENTRIES) },
    ranks: { type: 'int2', values: new Int32Array(ENTRIES) },
    items: { type: 'int4', values: new Int32Array(ENTRIES) },
    scores: { type: 'float8', values: new Float64Array(ENTRIES) },
  } as const satisfies Record<string, WireColumn>;
}

/** Fills the block with entry after entry, and gives their number each time. */
function* fillFrom(
  { ids, counts, capacity, items, scores }: RankedLists,
  block: ReturnType<typeof createBlock>,
): Generator<number> {
  let entries = 0;
  for (let list = 0; list < ids.length; list++) {
    for (let place = 0; place < counts[list]; place++) {
      const at = list * capacity + place;
      block.ids.values[entries] = ids[list];
      block.ranks.values[entries] = place + 1;
      block.items.values[entries] = items[at];
      block.scores.values[entries] = roundScore(scores[at]);
      if (++entries < ENTRIES) continue;
      yield entries;
      entries = 0;
    }
  }
  yield entries;
}

/** Half away from zero at four digits. */
export function roundScore(value: number): number {
  return (Math.sign(value) * Math.round(Math.abs(value) * 1e4)) / 1e4;
}

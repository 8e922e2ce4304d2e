import type { FoldedRows } from './fold-in.ts';
import { createLookup } from './ids.ts';
import { giveBackWorkspace, takeWorkspace } from './memory.ts';
import type { Model } from './model.ts';
import { rankItems } from './rank.ts';
import type { RankedLists } from './ranked-lists.ts';
import type { RatingTriples, SparseRows } from './ratings.ts';

export interface RecommendFoldedOptions {
  /** Entries of a list. */
  n: number;
  /** Leave out what the user has rated. */
  excludeRated: boolean;
  /** Ids of items that alone may be listed. */
  allowed: ReadonlySet<number>;
  threads: number;
  signal?: AbortSignal;
}

/**
 * The exact best items of users who were folded in: as `recommendTopN`, for users whom the model was not trained on.
 * @param ratings what they were folded in by, in order of user and item, no pair twice
 */
export async function recommendFolded(
  model: Model,
  folded: FoldedRows,
  ratings: RatingTriples,
  { n, excludeRated, allowed, threads, signal }: RecommendFoldedOptions,
): Promise<RankedLists> {
  const workspace = takeWorkspace();
  try {
    const rated = excludeRated ? ratedRows(model, folded, ratings) : null;
    let leaveOut: SparseRows | null = null;
    if (rated !== null) {
      const starts = workspace.array(Uint32Array, rated.starts.length, 'what users have rated');
      const columns = workspace.array(Uint32Array, rated.columns.length, 'what users have rated');
      starts.set(rated.starts);
      columns.set(rated.columns);
      leaveOut = { starts, columns, values: new Uint8Array(0) };
    }
    return await rankItems({
      workspace,
      queries: folded.factors,
      items: model.itemFactors,
      rank: model.rank,
      dimensions: model.rank,
      rows: Uint32Array.from(folded.ids.keys()),
      candidates: Uint32Array.from(model.itemIds.keys()).filter((item) => allowed.has(model.itemIds[item])),
      n,
      leaveOut,
      cosine: false,
      rowIds: folded.ids,
      itemIds: model.itemIds,
      threads,
      signal,
    });
  } finally {
    giveBackWorkspace(workspace);
  }
}

/** Of each folded row the items that the model knows, ascending: both the rows and the ratings are in order. */
function ratedRows(
  { itemIds }: Model,
  { ids }: FoldedRows,
  { users, items }: RatingTriples,
): { starts: Uint32Array; columns: Uint32Array } {
  const indexOf = createLookup(itemIds);
  const starts = new Uint32Array(ids.length + 1);
  const columns = new Uint32Array(users.length);
  let filled = 0;
  for (let row = 0, at = 0; row < ids.length; row++) {
    while (at < users.length && users[at] < ids[row]) at++;
    for (; at < users.length && users[at] === ids[row]; at++) {
      const item = indexOf(items[at]);
      if (item >= 0) columns[filled++] = item;
    }
    starts[row + 1] = filled;
  }
  return { starts, columns: columns.subarray(0, filled) };
}

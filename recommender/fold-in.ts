import { type AlsTask, SIDE_BYTES, describeSide, gramOfFixed, solveSide } from './als.ts';
import type { FactorizationConfiguration } from './configuration.ts';
import { exportFactors, importFactors } from './export-factors.ts';
import { createLookup } from './ids.ts';
import type { Model } from './model.ts';
import { RatingColumns, RatingMatrix, type RatingTriples, buildRatingMatrix } from './ratings.ts';
import { instantiate } from './threads/kernel.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { barrier } from './threads/sharing.ts';
import { prepare } from './train.ts';

export interface FoldInOptions {
  threads: number;
  signal?: AbortSignal;
}

/** Factors of the rows that were folded in, as a model's own: ids ascend, `rank` values a row. */
export interface FoldedRows {
  ids: Int32Array;
  factors: Float32Array;
}

/** The half-step of a training whose other side is a model's. */
interface FoldInTask extends AlsTask {
  side: 'users' | 'items';
}

/**
 * Solves users' factors against a model's fixed item factors, as a half-step of its training would: new users, or known
 * ones whose ratings have changed. Ratings of items that the model does not know are left out.
 * @param ratings all ratings of the users to fold in
 */
export function foldInUsers(
  model: Model,
  ratings: RatingTriples,
  options: FoldInOptions,
): Promise<FoldedRows> {
  return foldIn(model, 'users', ratings, options);
}

/** The same for items against fixed user factors. */
export function foldInItems(
  model: Model,
  ratings: RatingTriples,
  options: FoldInOptions,
): Promise<FoldedRows> {
  return foldIn(model, 'items', ratings, options);
}

async function foldIn(
  model: Model,
  side: 'users' | 'items',
  ratings: RatingTriples,
  { threads, signal }: FoldInOptions,
): Promise<FoldedRows> {
  const { configuration } = model;
  if (configuration.family === 'popular')
    throw new Error('popular has no factors to fold in: train it again');
  const fixedIds = side === 'users' ? model.itemIds : model.userIds;
  const known = knownRows(ratings, fixedIds, side);
  if (known.length === 0) return { ids: new Int32Array(0), factors: new Float32Array(0) };
  const columns = new RatingColumns(known.length);
  try {
    columns.users.set(known.map((row) => ratings.users[row]));
    columns.items.set(known.map((row) => ratings.items[row]));
    known.forEach((row, at) => (columns.ratings[at] = ratings.ratings[row]));
    const matrix = await buildRatingMatrix(columns, { signal });
    columns.free();
    const { task, lease } = prepare(fullSide(matrix, side, model), configuration, { threads });
    try {
      const fixed = side === 'users' ? task.itemFactors : task.userFactors;
      importFactors(model, side === 'users' ? model.itemFactors : model.userFactors, task.layout, fixed);
      const [factors] = await runThreads<Float32Array>('fold', { ...task, side } satisfies FoldInTask, {
        threads,
        signal,
      });
      const ids = (side === 'users' ? matrix.userIds : matrix.itemIds).slice();
      return { ids, factors };
    } finally {
      lease.free();
    }
  } finally {
    columns.release();
  }
}

/** Rows whose other side the model knows. */
function knownRows(
  { users, items }: RatingTriples,
  fixedIds: Int32Array,
  side: 'users' | 'items',
): Int32Array {
  const indexOf = createLookup(fixedIds);
  const other = side === 'users' ? items : users;
  return Int32Array.from(other.keys()).filter((row) => indexOf(other[row]) >= 0);
}

/** The matrix with the model's whole other side, so that columns are rows of the model's factors. */
function fullSide(matrix: RatingMatrix, side: 'users' | 'items', model: Model): RatingMatrix {
  const { workspace, scale } = matrix;
  const rows = side === 'users' ? matrix.byUser : matrix.byItem;
  const ownIds = side === 'users' ? matrix.itemIds : matrix.userIds;
  const allIds = side === 'users' ? model.itemIds : model.userIds;
  const indexOf = createLookup(allIds);
  const columns = workspace.array(Uint32Array, rows.columns.length, 'folding in');
  rows.columns.forEach((column, at) => (columns[at] = indexOf(ownIds[column])));
  const renamed = { ...rows, columns };
  return new RatingMatrix(workspace, {
    userIds: side === 'users' ? matrix.userIds : model.userIds,
    itemIds: side === 'users' ? model.itemIds : matrix.itemIds,
    byUser: side === 'users' ? renamed : matrix.byUser,
    byItem: side === 'users' ? matrix.byItem : renamed,
    scale,
    mean: model.mean,
  });
}

/** One thread's part of folding in; the first gives the factors. */
export function solveFoldIn(task: FoldInTask, context: ThreadContext): Float32Array | null {
  const kernel = instantiate(task.module, task.memory);
  const { matrix, layout } = task;
  const rows = task.side === 'users' ? matrix.byUser : matrix.byItem;
  const scratch = task.scratch[context.thread];
  const work = scratch + 2 * SIDE_BYTES;
  const side = describeSide(task, rows, scratch, false);
  if (task.gram !== null) gramOfFixed(task, kernel, context, side.fixed, work);
  barrier(context);
  solveSide(task, kernel, context, side, work, 0, () => undefined);
  if (context.thread !== 0) return null;
  const configuration: FactorizationConfiguration = task.configuration;
  const none = new Float32Array(0);
  const { userFactors, itemFactors } =
    task.side === 'users'
      ? exportFactors(configuration, layout, matrix.mean, side.solved, none)
      : exportFactors(configuration, layout, matrix.mean, none, side.solved);
  return task.side === 'users' ? userFactors : itemFactors;
}

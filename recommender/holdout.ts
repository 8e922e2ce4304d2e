/** The holdout as evaluation needs it, user by user. */

import { createLookup, indexIds } from './ids.ts';
import { sharedArray } from './memory.ts';
import type { RatingMatrix, RatingTriples } from './ratings.ts';
import { runThreads } from './threads/pool.ts';

/** A holdout rating of at least this is relevant. */
const RELEVANT = 4;

export interface GroupTask {
  holdout: RatingTriples;
  userIds: Int32Array;
  itemIds: Int32Array;
}

/** Pairs of the users whom a train part knows, by ascending user; in shared memory, so that no thread has a copy. */
export interface GroupedHoldout {
  /** Row of each user in the train part. */
  users: Uint32Array;
  /** The user's pairs are `[starts[at], starts[at + 1])`. */
  starts: Uint32Array;
  /** Row of the item in the train part, -1 where it has none. */
  items: Int32Array;
  ratings: Float32Array;
  /** Relevant pairs of each user, unknown items included. */
  relevant: Int32Array;
  /** Ratings of users whom it does not know. */
  unknown: Float32Array;
}

export function isRelevant(rating: number): boolean {
  return rating >= RELEVANT;
}

/**
 * Groups a holdout for `evaluateModel`, on a thread: once for all models of a train part, which have its users and items.
 * @throws the signal's reason
 */
export async function groupHoldout(
  { userIds, itemIds }: Pick<RatingMatrix, 'userIds' | 'itemIds'>,
  { users, items, ratings }: RatingTriples,
  signal?: AbortSignal,
): Promise<GroupedHoldout> {
  // Only what the thread is to see of what belongs to something larger.
  const task: GroupTask = { holdout: { users, items, ratings }, userIds, itemIds };
  const [grouped] = await runThreads<GroupedHoldout>('group', task, { threads: 1, signal });
  return grouped;
}

/**
 * Sorts the holdout by user and item: sums over it are then the same to the bit, whatever the order in which its pairs came.
 * In plain loops: of five million pairs iterators make objects, and take twice to four times as long.
 */
export function groupPairs({ holdout, userIds, itemIds }: GroupTask): GroupedHoldout {
  const userOf = createLookup(userIds);
  const itemOf = createLookup(itemIds);
  const order = orderById(holdout.users, orderById(holdout.items, null));
  const pairs = new Uint32Array(userIds.length + 1);
  const rows = new Int32Array(order.length);
  for (let place = 0; place < order.length; place++) {
    const user = userOf(holdout.users[order[place]]);
    rows[place] = user;
    if (user >= 0) pairs[user + 1]++;
  }
  for (let user = 0; user < userIds.length; user++) pairs[user + 1] += pairs[user];
  const next = pairs.slice();
  const known = pairs[userIds.length];
  const items = sharedArray(Int32Array, known);
  const ratings = sharedArray(Float32Array, known);
  const unknown = sharedArray(Float32Array, rows.length - known);
  let strangers = 0;
  for (let place = 0; place < order.length; place++) {
    const pair = order[place];
    const user = rows[place];
    if (user < 0) {
      unknown[strangers++] = holdout.ratings[pair];
      continue;
    }
    const at = next[user]++;
    items[at] = itemOf(holdout.items[pair]);
    ratings[at] = holdout.ratings[pair];
  }
  return { ...usersOf(pairs, ratings), items, ratings, unknown };
}

/** Who has pairs, by where each user's begin. */
function usersOf(
  pairs: Uint32Array,
  ratings: Float32Array,
): Pick<GroupedHoldout, 'users' | 'starts' | 'relevant'> {
  let count = 0;
  for (let user = 0; user + 1 < pairs.length; user++) if (pairs[user + 1] > pairs[user]) count++;
  const users = sharedArray(Uint32Array, count);
  const starts = sharedArray(Uint32Array, count + 1);
  const relevant = sharedArray(Int32Array, count);
  for (let user = 0, at = 0; user + 1 < pairs.length; user++) {
    if (pairs[user + 1] === pairs[user]) continue;
    users[at] = user;
    starts[at + 1] = pairs[user + 1];
    for (let pair = pairs[user]; pair < pairs[user + 1]; pair++)
      if (isRelevant(ratings[pair])) relevant[at]++;
    at++;
  }
  return { users, starts, relevant };
}

/** Rows in the order of their ids; those of one id stay in the order in which they are given: as they come, for null. */
function orderById(ids: Int32Array, rows: Uint32Array | null): Uint32Array {
  const ordered = new Uint32Array(ids.length);
  if (ids.length === 0) return ordered;
  const indices = ids.slice();
  const index = indexIds(ids);
  index.replace(indices);
  const next = new Uint32Array(index.ids.length + 1);
  for (let at = 0; at < indices.length; at++) next[indices[at] + 1]++;
  for (let at = 1; at < next.length; at++) next[at] += next[at - 1];
  for (let place = 0; place < ids.length; place++) {
    const row = rows === null ? place : rows[place];
    ordered[next[indices[row]]++] = row;
  }
  return ordered;
}

/** The holdout as evaluation needs it, user by user. */

import { createLookup, indexIds } from './ids.ts';
import type { RatingTriples } from './ratings.ts';

/** A holdout rating of at least this is relevant. */
const RELEVANT = 4;

export interface GroupTask {
  holdout: RatingTriples;
  userIds: Int32Array;
  itemIds: Int32Array;
}

/** Pairs of the users whom a model knows, by ascending user. */
export interface GroupedHoldout {
  /** Row of each user in the model. */
  users: Uint32Array;
  /** The user's pairs are `[starts[at], starts[at + 1])`. */
  starts: Uint32Array;
  /** Row of the item in the model, -1 where it knows none. */
  items: Int32Array;
  ratings: Float32Array;
  /** Relevant pairs of each user, unknown items included. */
  relevant: Int32Array;
  /** Ratings of users whom the model does not know. */
  unknown: Float32Array;
}

export function isRelevant(rating: number): boolean {
  return rating >= RELEVANT;
}

/**
 * Sorts the holdout by user and item, on a thread: sums over it are then the same to the bit, whatever the order in which
 * its pairs came.
 */
export function groupHoldout({ holdout, userIds, itemIds }: GroupTask): GroupedHoldout {
  const userOf = createLookup(userIds);
  const itemOf = createLookup(itemIds);
  const pairs = new Uint32Array(userIds.length + 1);
  const order = orderById(holdout.users, orderById(holdout.items, Uint32Array.from(holdout.items.keys())));
  const rows = Int32Array.from(order, (pair) => userOf(holdout.users[pair]));
  for (const user of rows) if (user >= 0) pairs[user + 1]++;
  for (let user = 0; user < userIds.length; user++) pairs[user + 1] += pairs[user];
  const next = pairs.slice();
  const known = pairs[userIds.length];
  const items = new Int32Array(known);
  const ratings = new Float32Array(known);
  const unknown = new Float32Array(rows.length - known);
  let strangers = 0;
  order.forEach((pair, place) => {
    const user = rows[place];
    if (user < 0) {
      unknown[strangers++] = holdout.ratings[pair];
      return;
    }
    const at = next[user]++;
    items[at] = itemOf(holdout.items[pair]);
    ratings[at] = holdout.ratings[pair];
  });
  const users = Uint32Array.from(userIds.keys()).filter((user) => pairs[user + 1] > pairs[user]);
  const starts = new Uint32Array(users.length + 1);
  users.forEach((user, at) => (starts[at + 1] = pairs[user + 1]));
  const relevant = Int32Array.from(users, (_, at) => {
    let count = 0;
    for (let pair = starts[at]; pair < starts[at + 1]; pair++) if (isRelevant(ratings[pair])) count++;
    return count;
  });
  return { users, starts, items, ratings, relevant, unknown };
}

/** Rows in the order of their ids; those of one id stay in the order in which they are given. */
function orderById(ids: Int32Array, rows: Uint32Array): Uint32Array {
  if (rows.length === 0) return rows;
  const indices = ids.slice();
  const index = indexIds(ids);
  index.replace(indices);
  const next = new Uint32Array(index.ids.length + 1);
  for (const at of indices) next[at + 1]++;
  for (let at = 1; at < next.length; at++) next[at] += next[at - 1];
  const ordered = new Uint32Array(rows.length);
  for (const row of rows) ordered[next[indices[row]]++] = row;
  return ordered;
}

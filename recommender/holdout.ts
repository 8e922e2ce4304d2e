/** The holdout as evaluation needs it, user by user. */

import { createLookup } from './ids.ts';
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

/** Sorts the holdout by user, on a thread. */
export function groupHoldout({ holdout, userIds, itemIds }: GroupTask): GroupedHoldout {
  const userOf = createLookup(userIds);
  const itemOf = createLookup(itemIds);
  const pairs = new Uint32Array(userIds.length + 1);
  const rows = holdout.users.map(userOf);
  for (const user of rows) if (user >= 0) pairs[user + 1]++;
  for (let user = 0; user < userIds.length; user++) pairs[user + 1] += pairs[user];
  const next = pairs.slice();
  const known = pairs[userIds.length];
  const items = new Int32Array(known);
  const ratings = new Float32Array(known);
  const unknown = new Float32Array(rows.length - known);
  let strangers = 0;
  for (let pair = 0; pair < rows.length; pair++) {
    if (rows[pair] < 0) {
      unknown[strangers++] = holdout.ratings[pair];
      continue;
    }
    const at = next[rows[pair]]++;
    items[at] = itemOf(holdout.items[pair]);
    ratings[at] = holdout.ratings[pair];
  }
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

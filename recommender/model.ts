import type { Configuration } from './configuration.ts';
import { createLookup } from './ids.ts';

/** A trained model. Row r of the factors belongs to the r-th id; ids ascend. */
export interface Model {
  configuration: Configuration;
  /** Values a row: the configuration's rank, two more where biases are folded in. */
  rank: number;
  /** Mean rating that biases are relative to. */
  mean: number;
  userIds: Int32Array;
  itemIds: Int32Array;
  /** Row-major, 32-bit. */
  userFactors: Float32Array;
  itemFactors: Float32Array;
}

/** Predicted scores of pairs by their ids; those whose user or item the model does not know are 0 and not known. */
export function predictPairs(
  model: Model,
  users: Int32Array,
  items: Int32Array,
): { scores: Float64Array; known: Uint8Array } {
  const userOf = createLookup(model.userIds);
  const itemOf = createLookup(model.itemIds);
  const scores = new Float64Array(users.length);
  const known = new Uint8Array(users.length);
  users.forEach((id, pair) => {
    const user = userOf(id);
    const item = itemOf(items[pair]);
    if (user < 0 || item < 0) return;
    known[pair] = 1;
    scores[pair] = score(model.userFactors, user, model.itemFactors, item, model.rank);
  });
  return { scores, known };
}

/**
 * The predicted score of a user row for an item row: the dot product of the exported factors, summed in double
 * precision from the first dimension to the last. Everything that scores gives these bits.
 */
export function score(
  userFactors: Float32Array,
  user: number,
  itemFactors: Float32Array,
  item: number,
  rank: number,
): number {
  let sum = 0;
  for (let left = user * rank, right = item * rank, end = left + rank; left < end; left++, right++) {
    sum += userFactors[left] * itemFactors[right];
  }
  return sum;
}

import type { Configuration } from './configuration.ts';

/** A trained model. Row r of the factors belongs to the r-th id; ids ascend. */
export interface Model {
  configuration: Configuration;
  /** Values a row. */
  rank: number;
  userIds: Int32Array;
  itemIds: Int32Array;
  /** Row-major, 32-bit. */
  userFactors: Float32Array;
  itemFactors: Float32Array;
}

/**
 * The predicted score of a user row for an item row: the dot product of the exported factors, summed in double
 * precision from the first dimension to the last. Everything that scores calls this.
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

/** What a training starts from. */

import type { AlsTask } from './als.ts';
import { createLookup } from './ids.ts';
import { createRandom } from './random.ts';

/** Items' factors that another training came to, by ascending id. */
export interface StartFactors {
  itemIds: Int32Array;
  itemFactors: Float32Array;
  /** Floats a row: the unknowns of the configuration, and what they were padded with. */
  width: number;
}

/** Spread of the start of families whose scores are centred on zero. */
const SMALL = 0.1;

/**
 * Fills the items' factors; the first half-step solves the users against them. Ratings are positive, so `als` starts
 * with positive rows of unit length, whose first half-step comes near their mean: of the starts that were tried it has
 * the lowest holdout error after ten iterations (docs/decisions/0007-als-start.md). Families that predict what is left
 * of a mean start with small numbers of both signs.
 */
export function fillStart({ configuration, layout, matrix, itemFactors, start }: AlsTask): void {
  const { rank, seed, family } = configuration;
  const { stride, width } = layout;
  const random = createRandom(seed);
  const row = new Float64Array(rank);
  itemFactors.fill(0);
  for (let item = 0; item < matrix.itemIds.length; item++) {
    let norm = 0;
    for (let i = 0; i < rank; i++) {
      row[i] = (random() + 1) / 2 ** 32;
      norm += row[i] * row[i];
    }
    for (let i = 0; i < rank; i++) {
      itemFactors[item * stride + i] =
        family === 'als-biased' ? SMALL * (2 * row[i] - 1) : row[i] / Math.sqrt(norm);
    }
  }
  if (start !== null) warmStart(start);

  function warmStart(from: StartFactors): void {
    const indexOf = createLookup(from.itemIds);
    const shared = Math.min(width, from.width);
    matrix.itemIds.forEach((id, item) => {
      const known = indexOf(id);
      if (known < 0) return;
      for (let i = 0; i < shared; i++)
        itemFactors[item * stride + i] = from.itemFactors[known * from.width + i];
    });
  }
}

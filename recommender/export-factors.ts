/** From the kernel's layout to the factors that leave the engine. */

import type { Layout, TrainedFactors } from './als.ts';
import type { Model } from './model.ts';
import type { Configuration } from './configuration.ts';

/** Floats of an exported row: biases take two more than the rank, `popular` has one. */
export function exportedWidth(configuration: Configuration): number {
  if (configuration.family === 'popular') return 1;
  return configuration.rank + (configuration.family === 'als-biased' ? 2 : 0);
}

/** Puts exported rows back into the kernel's layout; of biases the kernel wants a row's own alone. */
export function importFactors(
  { configuration, rank, mean, userFactors }: Model,
  exported: Float32Array,
  layout: Layout,
  out: Float32Array,
): void {
  const biased = configuration.family === 'als-biased';
  const isUser = exported === userFactors;
  out.fill(0);
  for (let row = 0; row * rank < exported.length; row++) {
    const from = row * rank;
    const to = row * layout.stride;
    const latent = biased ? layout.width - 1 : layout.width;
    for (let i = 0; i < latent; i++) out[to + i] = exported[from + i];
    if (biased) out[to + latent] = isUser ? exported[from + rank - 2] - mean : exported[from + rank - 1];
  }
}

/**
 * Rows whose dot product is the predicted score. With biases a user's row is (p, mean + bias, 1) and an item's
 * (q, 1, bias).
 */
export function exportFactors(
  configuration: Configuration,
  layout: Layout,
  mean: number,
  users: Float32Array,
  items: Float32Array,
): TrainedFactors {
  const width = exportedWidth(configuration);
  const biased = configuration.family === 'als-biased';
  let finite = true;
  const copy = (factors: Float32Array, isUser: boolean): Float32Array => {
    const rows = factors.length / layout.stride;
    const out = new Float32Array(rows * width);
    for (let row = 0, from = 0, to = 0; row < rows; row++, from += layout.stride, to += width) {
      for (let i = 0; i < layout.width; i++) {
        const value = factors[from + i];
        out[to + i] = value;
        // Not finite times zero is NaN.
        if (value * 0 !== 0) finite = false;
      }
      if (!biased) continue;
      const bias = factors[from + layout.width - 1];
      out[to + width - 2] = isUser ? mean + bias : 1;
      out[to + width - 1] = isUser ? 1 : bias;
    }
    return out;
  };
  return { userFactors: copy(users, true), itemFactors: copy(items, false), finite };
}

/**
 * Draws indices in proportion to weights, each in constant time.
 * Walker (1977) with Vose's tables (1991), "A Linear Algorithm For Generating Random Numbers With a Given
 * Distribution".
 */
export function createDraw(weights: Float64Array, random: () => number): () => number {
  const count = weights.length;
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / count;
  const share = weights.map((weight) => weight / mean);
  const alias = new Uint32Array(count);
  const small: number[] = [];
  const large: number[] = [];
  share.forEach((value, index) => (value < 1 ? small : large).push(index));
  while (small.length > 0 && large.length > 0) {
    const [less] = small.splice(-1);
    const more = large[large.length - 1];
    alias[less] = more;
    share[more] -= 1 - share[less];
    if (share[more] < 1) small.push(...large.splice(-1));
  }
  // Rounding leaves shares that are one but for their last digits.
  for (const rest of [...small, ...large]) share[rest] = 1;
  return () => {
    const place = (random() / 2 ** 32) * count;
    const index = Math.trunc(place);
    return place - index < share[index] ? index : alias[index];
  };
}

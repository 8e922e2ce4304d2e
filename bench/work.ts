/** How much arithmetic an iteration of alternating least squares cannot do without. */

/**
 * Multiply-adds of solving every `step`-th row of a side at rank K: per rating K(K+1)/2 for the upper triangle of the
 * Gram matrix and K for the right-hand side, per row K³/6 for Cholesky and K² for the two triangular solutions.
 */
export function multiplyAdds(starts: Uint32Array, rank: number, step = 1): number {
  let rows = 0;
  let ratings = 0;
  for (let row = 0; row + 1 < starts.length; row += step) {
    rows++;
    ratings += starts[row + 1] - starts[row];
  }
  return ratings * ((rank * (rank + 1)) / 2 + rank) + rows * (rank ** 3 / 6 + rank ** 2);
}

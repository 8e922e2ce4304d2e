/**
 * Alternating least squares as plain TypeScript does it: one thread, double precision, nothing clever. It is kept as
 * the yardstick of the engine, and is not what the product runs.
 */

import type { RatingMatrix, SparseRows } from '../recommender/index.ts';

/** What is needed of the engine's matrix. */
export type SideMatrix = Pick<RatingMatrix, 'byUser' | 'byItem' | 'scale'>;

/** A side in the one layout that the plain loops read, so that they are compiled for it alone. */
export interface PlainRows {
  starts: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
}

/** Copies only what is not in the plain layout yet. */
export function expandRows({ starts, columns, values }: SparseRows, scale: Float32Array | null): PlainRows {
  return {
    starts,
    columns: columns instanceof Uint32Array ? columns : Uint32Array.from(columns),
    values: scale === null ? Float32Array.from(values) : Float32Array.from(values, (code) => scale[code]),
  };
}

/**
 * Solves every `step`-th row of a side: (G + lambda n I) x = b with the Gram matrix G and b summed over the row's n
 * ratings. Zhou, Wilkinson, Schreiber and Pan (2008), "Large-scale Parallel Collaborative Filtering for the Netflix
 * Prize".
 * @param fixed the other side's factors, row-major; `solved` takes this side's
 * @returns this side's part of the objective: squared error and its own penalty
 */
export function solvePlainSide(
  { starts, columns, values }: PlainRows,
  fixed: Float64Array,
  solved: Float64Array,
  { rank, regularization, step = 1 }: { rank: number; regularization: number; step?: number },
): number {
  const gram = new Float64Array(rank * rank);
  const right = new Float64Array(rank);
  const vector = new Float64Array(rank);
  const x = new Float64Array(rank);
  let objective = 0;
  for (let row = 0; row + 1 < starts.length; row += step) {
    gram.fill(0);
    right.fill(0);
    for (let at = starts[row]; at < starts[row + 1]; at++) {
      const offset = columns[at] * rank;
      const value = values[at];
      objective += value * value;
      for (let i = 0; i < rank; i++) vector[i] = fixed[offset + i];
      for (let i = 0; i < rank; i++) {
        const left = vector[i];
        right[i] += value * left;
        for (let j = i, to = i * rank + i; j < rank; j++, to++) gram[to] += left * vector[j];
      }
    }
    for (let i = 0; i < rank; i++) gram[i * rank + i] += regularization * (starts[row + 1] - starts[row]);
    x.set(right);
    factorise(gram, rank);
    solveFactorised(gram, x, rank);
    for (let i = 0; i < rank; i++) {
      // With A = G + lambda n I and A x = b, squared error and penalty are sum(r²) - b·x.
      objective -= right[i] * x[i];
      solved[row * rank + i] = x[i];
    }
  }
  return objective;
}

/** Cholesky, upper factor in place of the upper triangle: A = UᵀU. The penalty keeps A positive definite. */
function factorise(a: Float64Array, rank: number): void {
  for (let i = 0; i < rank; i++) {
    for (let k = 0; k < i; k++) {
      const factor = a[k * rank + i];
      for (let j = i; j < rank; j++) a[i * rank + j] -= factor * a[k * rank + j];
    }
    const inverse = 1 / Math.sqrt(a[i * rank + i]);
    for (let j = i; j < rank; j++) a[i * rank + j] *= inverse;
  }
}

/** Uᵀ y = b, then U x = y, in place. */
function solveFactorised(upper: Float64Array, x: Float64Array, rank: number): void {
  for (let i = 0; i < rank; i++) {
    for (let k = 0; k < i; k++) x[i] -= upper[k * rank + i] * x[k];
    x[i] /= upper[i * rank + i];
  }
  for (let i = rank - 1; i >= 0; i--) {
    for (let k = i + 1; k < rank; k++) x[i] -= upper[i * rank + k] * x[k];
    x[i] /= upper[i * rank + i];
  }
}

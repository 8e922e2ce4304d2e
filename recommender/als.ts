/** Alternating least squares with weighted-lambda regularisation, on the threads. */

import type { RatingMatrix, SparseRows } from './ratings.ts';
import type { ThreadContext } from './threads/protocol.ts';
import { balancedChunks, barrier, nextChunk } from './threads/sharing.ts';

export interface AlsTask {
  matrix: RatingMatrix;
  rank: number;
  /** Iterations that are done already; the items' factors are those after the last of them. */
  done: number;
  iterations: number;
  regularization: number;
  /** Milliseconds between checkpoints; null for none. */
  checkpointEvery: number | null;
  /** Row-major factors over shared memory; the items' hold the start. */
  userFactors: Float32Array;
  itemFactors: Float32Array;
  /** Per item, its part of the objective; over shared memory. */
  objective: Float64Array;
}

export interface AlsIteration {
  iteration: number;
  /** Squared error plus penalty after the iteration: what the iterations minimise. */
  objective: number;
  /** The items' factors, where a checkpoint is due: all that the next iteration starts from. */
  checkpoint: Float32Array | null;
}

/** Fine enough to balance threads at the end of a side, coarse enough that the counter costs nothing. */
const CHUNKS = 512;

/**
 * One thread's part of all iterations. Each row is solved by exactly one thread from the other side's factors
 * alone, so the bits do not depend on how many threads there are.
 */
export function solveAls(task: AlsTask, context: ThreadContext): void {
  const { matrix, rank, iterations, userFactors, itemFactors } = task;
  const userChunks = balancedChunks(matrix.byUser.starts, CHUNKS);
  const itemChunks = balancedChunks(matrix.byItem.starts, CHUNKS);
  const solver = createSolver(rank, task.regularization);
  const solveSide = (
    rows: SparseRows,
    chunks: Uint32Array,
    fixed: Float32Array,
    solved: Float32Array,
    objective?: Float64Array,
  ): void => {
    for (let chunk = nextChunk(context, CHUNKS); chunk >= 0; chunk = nextChunk(context, CHUNKS)) {
      for (let row = chunks[chunk]; row < chunks[chunk + 1]; row++) {
        const part = solver(rows, row, fixed, solved);
        if (objective !== undefined) objective[row] = part;
      }
    }
    barrier(context);
  };
  let saved = performance.now();
  for (let iteration = task.done + 1; iteration <= iterations; iteration++) {
    solveSide(matrix.byUser, userChunks, itemFactors, userFactors);
    solveSide(matrix.byItem, itemChunks, userFactors, itemFactors, task.objective);
    if (context.thread === 0) {
      const objective = sum(task.objective) + penalty(matrix.byUser, userFactors, rank, task.regularization);
      // After the last one there is nothing to resume.
      const due =
        task.checkpointEvery !== null &&
        iteration < iterations &&
        performance.now() - saved >= task.checkpointEvery;
      if (due) saved = performance.now();
      const checkpoint = due ? Float32Array.from(itemFactors) : null;
      context.progress({ iteration, objective, checkpoint } satisfies AlsIteration);
    }
    // The next iteration writes the factors that the objective was read from.
    barrier(context);
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function penalty(
  { starts }: SparseRows,
  factors: Float32Array,
  rank: number,
  regularization: number,
): number {
  let total = 0;
  for (let row = 0; row + 1 < starts.length; row++) {
    let norm = 0;
    for (let at = row * rank; at < (row + 1) * rank; at++) norm += factors[at] * factors[at];
    total += regularization * (starts[row + 1] - starts[row]) * norm;
  }
  return total;
}

/** Writes a row's factors and returns its part of the objective, the fixed side's penalty left out. */
type Solver = (rows: SparseRows, row: number, fixed: Float32Array, solved: Float32Array) => number;

/**
 * Solves (G + lambda n I) x = b for a row with n ratings, G and b summed over its ratings in double precision.
 * Zhou, Wilkinson, Schreiber and Pan (2008), "Large-scale Parallel Collaborative Filtering for the Netflix Prize".
 */
function createSolver(rank: number, regularization: number): Solver {
  const gram = new Float64Array(rank * rank);
  const right = new Float64Array(rank);
  const vector = new Float64Array(rank);
  const gathered = new Float64Array(rank);
  return (rows, row, fixed, solved) => {
    const { starts, columns, values } = rows;
    const count = starts[row + 1] - starts[row];
    gram.fill(0);
    right.fill(0);
    let squares = 0;
    for (let at = starts[row]; at < starts[row + 1]; at++) {
      const offset = columns[at] * rank;
      const value = values[at];
      squares += value * value;
      for (let i = 0; i < rank; i++) gathered[i] = fixed[offset + i];
      for (let i = 0; i < rank; i++) {
        const left = gathered[i];
        right[i] += value * left;
        for (let j = i, to = i * rank + i; j < rank; j++, to++) gram[to] += left * gathered[j];
      }
    }
    for (let i = 0; i < rank; i++) gram[i * rank + i] += regularization * count;
    // With A = G + lambda n I, squared error plus penalty is sum(r^2) - 2 b.x + x.A.x, and A x = b.
    const rightBefore = vector;
    rightBefore.set(right);
    factorise(gram, rank);
    solveInPlace(gram, right, rank);
    let fitted = 0;
    for (let i = 0; i < rank; i++) {
      fitted += rightBefore[i] * right[i];
      solved[row * rank + i] = right[i];
    }
    return squares - fitted;
  };
}

/** Cholesky, upper factor in place: A = U^T U. The penalty keeps A positive definite. */
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

function solveInPlace(upper: Float64Array, x: Float64Array, rank: number): void {
  for (let i = 0; i < rank; i++) {
    for (let k = 0; k < i; k++) x[i] -= upper[k * rank + i] * x[k];
    x[i] /= upper[i * rank + i];
  }
  for (let i = rank - 1; i >= 0; i--) {
    for (let k = i + 1; k < rank; k++) x[i] -= upper[i * rank + k] * x[k];
    x[i] /= upper[i * rank + i];
  }
}

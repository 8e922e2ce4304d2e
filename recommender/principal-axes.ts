/** Directions along which vectors are long: what they are along few of them is nearly all of them. */

/** Vectors that the axes are found by, at most, at equal distances: any axes are right, these only need to be good. */
const SAMPLE = 2048;
/** Of the squared lengths, how much may lie outside of the axes. */
const OUTSIDE = 0.01;
/** A sweep of rotations squares what is off the diagonal: ten are more than any matrix needs. */
const SWEEPS = 10;

/**
 * The fewest orthonormal axes that hold all but a hundredth of the vectors' squared lengths, each vector taken as one of length 1
 * (principal components, not centred): the first eigenvectors of their second moments.
 * @param vectors row-major, `dimensions` values each; those of length 0 have no say
 * @returns row-major, an axis a row; one a dimension where that is what it takes
 */
export function principalAxes(vectors: Float32Array, dimensions: number): Float64Array {
  const { values, vectors: axes } = eigenvectors(secondMoments(vectors, dimensions), dimensions);
  const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
  let outside = values.reduce((sum, value) => sum + value, 0);
  const most = outside * OUTSIDE;
  const kept = order.filter((axis) => {
    const needed = outside > most;
    outside -= values[axis];
    return needed;
  });
  const rows = new Float64Array(kept.length * dimensions);
  kept.forEach((axis, row) => {
    for (let d = 0; d < dimensions; d++) rows[row * dimensions + d] = axes[d * dimensions + axis];
  });
  return rows;
}

function secondMoments(vectors: Float32Array, dimensions: number): Float64Array {
  const moments = new Float64Array(dimensions * dimensions);
  const count = vectors.length / dimensions;
  for (let place = 0; place < Math.min(count, SAMPLE); place++) {
    const from = Math.floor((place * count) / Math.min(count, SAMPLE)) * dimensions;
    const vector = vectors.subarray(from, from + dimensions);
    const squares = vector.reduce((sum, value) => sum + value * value, 0);
    if (squares === 0) continue;
    for (let i = 0; i < dimensions; i++)
      for (let j = 0; j < dimensions; j++) moments[i * dimensions + j] += (vector[i] * vector[j]) / squares;
  }
  return moments;
}

/**
 * Of a symmetric matrix, which is overwritten: cyclic rotations of Jacobi, as in Golub and Van Loan (2013), "Matrix
 * Computations", section 8.5.
 * @returns eigenvalues, and eigenvectors as the columns of a row-major matrix
 */
function eigenvectors(a: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const vectors = new Float64Array(n * n);
  for (let i = 0; i < n; i++) vectors[i * n + i] = 1;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const tau = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.hypot(1, tau));
        const cosine = 1 / Math.hypot(1, t);
        const sine = t * cosine;
        for (let i = 0; i < n; i++) rotate(a, i * n + p, i * n + q, cosine, sine);
        for (let i = 0; i < n; i++) rotate(a, p * n + i, q * n + i, cosine, sine);
        for (let i = 0; i < n; i++) rotate(vectors, i * n + p, i * n + q, cosine, sine);
      }
    }
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i]), vectors };
}

function rotate(matrix: Float64Array, p: number, q: number, cosine: number, sine: number): void {
  const [x, y] = [matrix[p], matrix[q]];
  matrix[p] = cosine * x - sine * y;
  matrix[q] = sine * x + cosine * y;
}

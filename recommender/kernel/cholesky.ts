/**
 * Four symmetric positive definite systems at once, one in each lane: Cholesky A = U'U, the right-hand side as one more
 * column. Golub and Van Loan, "Matrix Computations", section 4.2.
 */

/** Below this share of its diagonal a pivot is rounding noise of single precision: the system counts as singular. */
const LEAST_PIVOT: f32 = 1e-6;

/** Row i of a system holds elements (i, 0) to (i, width - 1), then its right-hand side; 16 bytes each. */
function rowBytes(width: u32): u32 {
  return (width + 1) * 16;
}

/** Lays out four Gram matrices and right-hand sides, which lie `bytes` from each other. */
export function interleave(
  system: usize,
  width: u32,
  grams: usize,
  sides: usize,
  bytes: u32,
  stride: u32,
): void {
  for (let i: u32 = 0; i < width; i++) {
    const to = system + i * rowBytes(width);
    // What lies left of the diagonal is never read, what is written beyond the row is written over by the next one.
    for (let j = i & ~3; j < width; j += 4) transpose(grams + (i * stride + j) * 4, bytes, to + j * 16);
    v128.store(
      to + width * 16,
      f32x4(
        load<f32>(sides + i * 4),
        load<f32>(sides + bytes + i * 4),
        load<f32>(sides + 2 * bytes + i * 4),
        load<f32>(sides + 3 * bytes + i * 4),
      ),
    );
  }
}

/** Four floats of each of four rows, turned: four vectors of one float of each. */
function transpose(from: usize, bytes: u32, to: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + bytes);
  const c = v128.load(from + 2 * bytes);
  const d = v128.load(from + 3 * bytes);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to + 16, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
  v128.store(to + 32, v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5));
  v128.store(to + 48, v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7));
}

function msub(sum: v128, a: v128, b: v128): v128 {
  return f32x4.sub(sum, f32x4.mul(a, b));
}

/** U in place, the reciprocals of its diagonal on the diagonal; the right-hand side becomes y of U'y = b. */
export function factorise(system: usize, width: u32): void {
  const bytes = rowBytes(width);
  for (let i: u32 = 0; i < width; i++) {
    const row = system + i * bytes;
    const diagonal = row + i * 16;
    const before = v128.load(diagonal);
    let j = i;
    for (; j + 8 <= width + 1; j += 8)
      eliminate8(system + i * 16, system + j * 16, row + j * 16, diagonal, bytes);
    for (; j + 4 <= width + 1; j += 4)
      eliminate4(system + i * 16, system + j * 16, row + j * 16, diagonal, bytes);
    for (; j <= width; j++) eliminate1(system + i * 16, system + j * 16, row + j * 16, diagonal, bytes);
    const pivot = v128.load(diagonal);
    const usable = f32x4.gt(pivot, f32x4.mul(before, f32x4.splat(LEAST_PIVOT)));
    const inverse = v128.bitselect(
      f32x4.div(f32x4.splat(1), f32x4.sqrt(pivot)),
      f32x4.splat(f32.NaN),
      usable,
    );
    v128.store(diagonal, inverse);
    for (j = i + 1; j <= width; j++) v128.store(row + j * 16, f32x4.mul(inverse, v128.load(row + j * 16)));
  }
}

/** Takes rows k < i off eight elements of row i: element j loses U(k, i) U(k, j). */
function eliminate8(factor: usize, above: usize, to: usize, end: usize, bytes: u32): void {
  let a = v128.load(to),
    b = v128.load(to, 16),
    c = v128.load(to, 32),
    d = v128.load(to, 48);
  let e = v128.load(to, 64),
    f = v128.load(to, 80),
    g = v128.load(to, 96),
    h = v128.load(to, 112);
  for (; factor < end; factor += bytes, above += bytes) {
    const u = v128.load(factor);
    a = msub(a, u, v128.load(above));
    b = msub(b, u, v128.load(above, 16));
    c = msub(c, u, v128.load(above, 32));
    d = msub(d, u, v128.load(above, 48));
    e = msub(e, u, v128.load(above, 64));
    f = msub(f, u, v128.load(above, 80));
    g = msub(g, u, v128.load(above, 96));
    h = msub(h, u, v128.load(above, 112));
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
  v128.store(to, e, 64);
  v128.store(to, f, 80);
  v128.store(to, g, 96);
  v128.store(to, h, 112);
}

function eliminate4(factor: usize, above: usize, to: usize, end: usize, bytes: u32): void {
  let a = v128.load(to),
    b = v128.load(to, 16),
    c = v128.load(to, 32),
    d = v128.load(to, 48);
  for (; factor < end; factor += bytes, above += bytes) {
    const u = v128.load(factor);
    a = msub(a, u, v128.load(above));
    b = msub(b, u, v128.load(above, 16));
    c = msub(c, u, v128.load(above, 32));
    d = msub(d, u, v128.load(above, 48));
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

function eliminate1(factor: usize, above: usize, to: usize, end: usize, bytes: u32): void {
  let a = v128.load(to);
  for (; factor < end; factor += bytes, above += bytes) a = msub(a, v128.load(factor), v128.load(above));
  v128.store(to, a);
}

/** Solves U x = y in place of y. */
export function substitute(system: usize, width: u32): void {
  const bytes = rowBytes(width);
  const side = system + width * 16;
  for (let j = width; j-- > 0;) {
    const x = f32x4.mul(v128.load(system + j * bytes + j * 16), v128.load(side + j * bytes));
    v128.store(side + j * bytes, x);
    for (let i: u32 = 0; i < j; i++) {
      const y = side + i * bytes;
      v128.store(y, msub(v128.load(y), v128.load(system + i * bytes + j * 16), x));
    }
  }
}

/** Writes the solution in a lane as `stride` floats, zeros behind it. */
export function solutionOf(system: usize, width: u32, lane: u32, to: usize, stride: u32): void {
  const bytes = rowBytes(width);
  const side = system + width * 16 + lane * 4;
  for (let i: u32 = 0; i < stride; i++) store<f32>(to + i * 4, i < width ? load<f32>(side + i * bytes) : 0);
}

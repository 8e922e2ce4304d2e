/**
 * One half-step of alternating least squares: rows of one side are solved against the other side's fixed factors.
 * Single precision; every row's arithmetic is the same whoever computes it, so its bits are too.
 */

import { factorise, interleave, solutionOf, substitute } from './cholesky';

/** Families, as `recommender/als.ts` numbers them. */
const BIASED: u32 = 1;
const IMPLICIT: u32 = 2;

/** Bytes; of most processors. */
const CACHE_LINE: u32 = 64;

/** What a half-step works on; `recommender/als.ts` writes it, field by field, four bytes each. */
@unmanaged
class Side {
  /** Row pointers, u32. */
  starts: usize;
  /** Indices of the other side, u32 where `wide`, else u16. */
  columns: usize;
  /** u8 codes into `scale`, or f32 where there is none. */
  values: usize;
  scale: usize;
  /** Factors of the other side and of this one, `stride` floats a row, multiples of four. */
  fixed: usize;
  solved: usize;
  /** f64 a row: its part of the objective, or its penalty alone where `loss` is not set. */
  objective: usize;
  /** Implicit feedback: the Gram matrix of all fixed rows. */
  base: usize;
  wide: u32;
  loss: u32;
  family: u32;
  /** Unknowns of a row: the rank, and one more where the last is the row's bias. */
  width: u32;
  stride: u32;
  regularization: f32;
  mean: f32;
  alpha: f32;
  /** Ratings that are gathered at a time. */
  block: u32;
  /** Rows of bands, u32 each: those that have at least `heavy` ratings. */
  banded: usize;
  heavy: u32;
  /** Rows of the other side in a tile. */
  tile: u32;
}

/** The equations of a row while they are summed; its Gram matrix and its right-hand side lie behind it. */
@unmanaged
class Equations {
  /** What the row's loss is at zero factors. */
  constant: f64;
  row: u32;
  /** The first of its ratings that is not summed yet. */
  at: u32;
}

const HEAD: u32 = 16;

function equationBytes(stride: u32): u32 {
  return HEAD + (stride + 1) * stride * 4;
}

function gramOf(equations: usize): usize {
  return equations + HEAD;
}

function rhsOf(equations: usize, stride: u32): usize {
  return equations + HEAD + stride * stride * 4;
}

/** Bytes of scratch that a thread needs for `solveRows`, and for `solveBand` of up to `band` rows. */
export function solverBytes(width: u32, stride: u32, block: u32, band: u32): usize {
  return <usize>(
    (fours(band) * equationBytes(stride) + max(block * (stride + 1) * 4, (width + 1) * (width + 5) * 16) + 64)
  );
}

/** Rows that equations are kept of, in whole groups of four. */
function fours(rows: u32): u32 {
  return max<u32>(4, (rows + 3) & ~3);
}

/**
 * Solves (G + lambda n I) x = b for rows [from, to) but those of bands, G and b over the row's n ratings; four rows at a
 * time, one in each lane of the factorisation. A row whose equations single precision cannot solve gets NaN; one without
 * ratings gets zeros.
 */
export function solveRows(task: usize, from: u32, to: u32, scratch: usize): void {
  const side = changetype<Side>(task);
  const bytes = equationBytes(side.stride);
  const packed = scratch + 4 * bytes;
  for (let row = from; row < to;) {
    let rows: u32 = 0;
    for (; row < to && rows < 4; row++) {
      if (ratingsOf(side, row) >= side.heavy) continue;
      const equations = scratch + rows++ * bytes;
      begin(side, row, equations);
      sumUntil(side, equations, endOf(side, row), packed);
    }
    solveFour(side, scratch, rows, packed);
  }
}

/**
 * The same for a band: rows `banded[from, to)`, which have so many ratings that every tile of the other side is gathered from
 * by several of them. They are summed side by side, tile by tile, so that a tile stays in the processor's second cache until
 * all rows of the band have been there. A row's sums do not depend on the band that it is in.
 */
export function solveBand(task: usize, from: u32, to: u32, scratch: usize): void {
  const side = changetype<Side>(task);
  const bytes = equationBytes(side.stride);
  const packed = scratch + fours(to - from) * bytes;
  const last = scratch + (to - from) * bytes;
  for (let i = from; i < to; i++) begin(side, load<u32>(side.banded + i * 4), scratch + (i - from) * bytes);
  let open = true;
  for (let bound = side.tile; open; bound += side.tile) {
    open = false;
    for (let equations = scratch; equations < last; equations += bytes) {
      const at = changetype<Equations>(equations).at;
      const end = endOf(side, changetype<Equations>(equations).row);
      if (at == end) continue;
      sumUntil(side, equations, firstFrom(side, at, min(end, at + side.tile), bound), packed);
      open = true;
    }
  }
  for (let i = from; i < to; i += 4) {
    solveFour(side, scratch + (i - from) * bytes, min<u32>(4, to - i), packed);
  }
}

/** The first rating in [low, high) whose column is not below `bound`, or `high`; columns ascend. */
function firstFrom(side: Side, low: u32, high: u32, bound: u32): u32 {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (columnAt(side, middle) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Solves the equations of up to four rows. */
function solveFour(side: Side, scratch: usize, rows: u32, work: usize): void {
  if (rows == 0) return;
  const system = (work + 15) & ~15;
  const stride = side.stride;
  const width = side.width;
  const bytes = equationBytes(stride);
  for (let lane: u32 = 0; lane < rows; lane++) addRidge(side, scratch + lane * bytes);
  // Lanes without a row repeat the first one, and nobody looks at them.
  for (let lane = rows; lane < 4; lane++) memory.copy(scratch + lane * bytes, scratch, bytes);
  interleave(system, width, gramOf(scratch), rhsOf(scratch, stride), bytes, stride);
  factorise(system, width);
  substitute(system, width);
  for (let lane: u32 = 0; lane < rows; lane++) {
    const equations = scratch + lane * bytes;
    solutionOf(system, width, lane, side.solved + changetype<Equations>(equations).row * stride * 4, stride);
    finish(side, equations);
  }
}

/** Gram matrix of the contiguous rows [from, to) of `factors`: upper triangle, `stride` floats a row. */
export function gramOfRows(
  factors: usize,
  from: u32,
  to: u32,
  stride: u32,
  block: u32,
  gram: usize,
  scratch: usize,
): void {
  memory.fill(gram, 0, stride * stride * 4);
  // The targets of what has none: their sums go to the scratch and are not looked at.
  memory.fill(scratch, 0, (block + stride) * 4);
  for (let row = from; row < to; row += block) {
    addBlock(factors + row * stride * 4, scratch, min(block, to - row), stride, gram, scratch + block * 4);
  }
}

function startOf(side: Side, row: u32): u32 {
  return load<u32>(side.starts + row * 4);
}

function endOf(side: Side, row: u32): u32 {
  return load<u32>(side.starts + row * 4, 4);
}

function ratingsOf(side: Side, row: u32): u32 {
  return endOf(side, row) - startOf(side, row);
}

function columnAt(side: Side, at: u32): u32 {
  return side.wide ? load<u32>(side.columns + at * 4) : load<u16>(side.columns + at * 2);
}

function valueAt(side: Side, at: u32): f32 {
  return side.scale
    ? load<f32>(side.scale + <usize>load<u8>(side.values + at) * 4)
    : load<f32>(side.values + at * 4);
}

/** No rating of the row is summed yet. */
function begin(side: Side, row: u32, equations: usize): void {
  const stride = side.stride;
  const gram = gramOf(equations);
  if (side.base) memory.copy(gram, side.base, stride * stride * 4);
  else memory.fill(gram, 0, stride * stride * 4);
  memory.fill(rhsOf(equations, stride), 0, stride * 4);
  const head = changetype<Equations>(equations);
  head.constant = 0;
  head.row = row;
  head.at = startOf(side, row);
}

/**
 * Adds a row's ratings before `end` to its equations, block by block so that single precision is enough, and to what its loss
 * is at zero factors, where the side wants a loss.
 */
function sumUntil(side: Side, equations: usize, end: u32, packed: usize): void {
  const stride = side.stride;
  const targets = packed + side.block * stride * 4;
  const head = changetype<Equations>(equations);
  for (let at = head.at; at < end; at += side.block) {
    const count = min(side.block, end - at);
    if (stride * 4 > CACHE_LINE) store<u32>(targets, fetch(side, at, count));
    pack(side, at, count, packed, targets);
    addBlock(packed, targets, count, stride, gramOf(equations), rhsOf(equations, stride));
    if (side.loss) head.constant += lossAtZero(side, at, count, targets);
  }
  head.at = end;
}

function addRidge(side: Side, equations: usize): void {
  const ridge = <f32>ratingsOf(side, changetype<Equations>(equations).row) * side.regularization;
  for (let i: u32 = 0; i < side.width; i++) {
    const diagonal = gramOf(equations) + i * (side.stride + 1) * 4;
    store<f32>(diagonal, load<f32>(diagonal) + ridge);
  }
}

/** Squared targets; of implicit feedback, whose pairs are to be 1, their confidences. */
function lossAtZero(side: Side, at: u32, count: u32, targets: usize): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (side.family == IMPLICIT) {
      const value = valueAt(side, at + i);
      if (value > 0) sum += 1 + <f64>side.alpha * <f64>value;
    } else {
      const target = <f64>load<f32>(targets + i * 4);
      sum += target * target;
    }
  }
  return sum;
}

/**
 * Reads a word of each cache line that `pack` is going to copy; what it gives means nothing. Without stores between them
 * more of the reads are under way at a time, and vectors are mostly further away than the caches next to the processor.
 */
function fetch(side: Side, at: u32, count: u32): u32 {
  const bytes = side.stride * 4;
  let words: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const from = side.fixed + columnAt(side, at + i) * bytes;
    for (let b: u32 = 0; b < bytes; b += CACHE_LINE) words |= load<u32>(from + b);
  }
  return words;
}

/** Gathers the fixed vectors of ratings and what they are to predict, weighted by confidence where there is one. */
function pack(side: Side, at: u32, count: u32, packed: usize, targets: usize): void {
  if (side.family == IMPLICIT) return packImplicit(side, at, count, packed, targets);
  const bytes = side.stride * 4;
  const biased = side.family == BIASED;
  const bias: u32 = (side.width - 1) * 4;
  for (let i: u32 = 0; i < count; i++) {
    const from = side.fixed + columnAt(side, at + i) * bytes;
    for (let b: u32 = 0; b < bytes; b += 16) v128.store(packed + b, v128.load(from + b));
    let target = valueAt(side, at + i);
    if (biased) {
      target -= side.mean + load<f32>(from + bias);
      store<f32>(packed + bias, 1);
    }
    store<f32>(targets, target);
    packed += bytes;
    targets += 4;
  }
}

/**
 * With confidence c = 1 + alpha |r| and preference 1 where r > 0, the row's equations are
 * (F'F + sum (c - 1) f f' + lambda n I) x = sum c f: vectors are scaled by w = sqrt(c - 1), targets are c / w.
 */
function packImplicit(side: Side, at: u32, count: u32, packed: usize, targets: usize): void {
  const bytes = side.stride * 4;
  for (let i: u32 = 0; i < count; i++) {
    const from = side.fixed + columnAt(side, at + i) * bytes;
    const value = valueAt(side, at + i);
    const more = side.alpha * abs(value);
    const weight = sqrt(more);
    const scale = f32x4.splat(weight);
    for (let b: u32 = 0; b < bytes; b += 16) v128.store(packed + b, f32x4.mul(scale, v128.load(from + b)));
    store<f32>(targets, value > 0 && weight > 0 ? (1 + more) / weight : 0);
    packed += bytes;
    targets += 4;
  }
}

/** Adds `count` vectors to the upper triangle of a Gram matrix and to a right-hand side, in register tiles. */
function addBlock(packed: usize, targets: usize, count: u32, stride: u32, gram: usize, rhs: usize): void {
  const blocks = stride >> 2;
  const bytes = stride * 4;
  const end = packed + count * bytes;
  for (let i: u32 = 0; i < blocks; i++) {
    const left = packed + i * 16;
    const to = gram + i * 4 * bytes + i * 16;
    if (i + 1 == blocks) {
      diagonalTile4(left, end, targets, bytes, to, rhs + i * 16);
      return;
    }
    diagonalTile8(left, end, targets, bytes, to, rhs + i * 16);
    let j = i + 2;
    for (; j + 1 < blocks; j += 2) tile8(left, packed + j * 16, end, bytes, to + (j - i) * 16);
    if (j < blocks) tile4(left, packed + j * 16, end, bytes, to + (j - i) * 16);
  }
}

function addTo(to: usize, sum: v128): void {
  v128.store(to, f32x4.add(v128.load(to), sum));
}

/** Eight floats; both are loaded before either is stored, or V8 makes no wider operation of them (`recommender/threads/kernel.ts`). */
function addPairTo(to: usize, low: v128, high: v128): void {
  const first = f32x4.add(v128.load(to), low);
  const second = f32x4.add(v128.load(to, 16), high);
  v128.store(to, first);
  v128.store(to, second, 16);
}

function madd(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

/** Rows i to i + 3, columns i to i + 7, and columns i to i + 3 of the right-hand side. */
function diagonalTile8(left: usize, end: usize, targets: usize, bytes: u32, to: usize, rhs: usize): void {
  let a0 = f32x4.splat(0),
    a1 = a0,
    b0 = a0,
    b1 = a0,
    c0 = a0,
    c1 = a0,
    d0 = a0,
    d1 = a0,
    r = a0;
  for (; left < end; left += bytes, targets += 4) {
    const x0 = v128.load(left);
    const x1 = v128.load(left, 16);
    r = madd(r, v128.load32_splat(targets), x0);
    let s = v128.load32_splat(left);
    a0 = madd(a0, s, x0);
    a1 = madd(a1, s, x1);
    s = v128.load32_splat(left, 4);
    b0 = madd(b0, s, x0);
    b1 = madd(b1, s, x1);
    s = v128.load32_splat(left, 8);
    c0 = madd(c0, s, x0);
    c1 = madd(c1, s, x1);
    s = v128.load32_splat(left, 12);
    d0 = madd(d0, s, x0);
    d1 = madd(d1, s, x1);
  }
  addTo(rhs, r);
  addPairTo(to, a0, a1);
  addPairTo(to + bytes, b0, b1);
  addPairTo(to + 2 * bytes, c0, c1);
  addPairTo(to + 3 * bytes, d0, d1);
}

/** The last four rows and columns, and of the right-hand side. */
function diagonalTile4(left: usize, end: usize, targets: usize, bytes: u32, to: usize, rhs: usize): void {
  let a = f32x4.splat(0),
    b = a,
    c = a,
    d = a,
    r = a;
  for (; left < end; left += bytes, targets += 4) {
    const x = v128.load(left);
    r = madd(r, v128.load32_splat(targets), x);
    a = madd(a, v128.load32_splat(left), x);
    b = madd(b, v128.load32_splat(left, 4), x);
    c = madd(c, v128.load32_splat(left, 8), x);
    d = madd(d, v128.load32_splat(left, 12), x);
  }
  addTo(rhs, r);
  addTo(to, a);
  addTo(to + bytes, b);
  addTo(to + 2 * bytes, c);
  addTo(to + 3 * bytes, d);
}

/** Four rows by eight columns right of the diagonal. */
function tile8(left: usize, right: usize, end: usize, bytes: u32, to: usize): void {
  let a0 = f32x4.splat(0),
    a1 = a0,
    b0 = a0,
    b1 = a0,
    c0 = a0,
    c1 = a0,
    d0 = a0,
    d1 = a0;
  for (; left < end; left += bytes, right += bytes) {
    const x0 = v128.load(right);
    const x1 = v128.load(right, 16);
    let s = v128.load32_splat(left);
    a0 = madd(a0, s, x0);
    a1 = madd(a1, s, x1);
    s = v128.load32_splat(left, 4);
    b0 = madd(b0, s, x0);
    b1 = madd(b1, s, x1);
    s = v128.load32_splat(left, 8);
    c0 = madd(c0, s, x0);
    c1 = madd(c1, s, x1);
    s = v128.load32_splat(left, 12);
    d0 = madd(d0, s, x0);
    d1 = madd(d1, s, x1);
  }
  addPairTo(to, a0, a1);
  addPairTo(to + bytes, b0, b1);
  addPairTo(to + 2 * bytes, c0, c1);
  addPairTo(to + 3 * bytes, d0, d1);
}

/** Four rows by the last four columns. */
function tile4(left: usize, right: usize, end: usize, bytes: u32, to: usize): void {
  let a = f32x4.splat(0),
    b = a,
    c = a,
    d = a;
  for (; left < end; left += bytes, right += bytes) {
    const x = v128.load(right);
    a = madd(a, v128.load32_splat(left), x);
    b = madd(b, v128.load32_splat(left, 4), x);
    c = madd(c, v128.load32_splat(left, 8), x);
    d = madd(d, v128.load32_splat(left, 12), x);
  }
  addTo(to, a);
  addTo(to + bytes, b);
  addTo(to + 2 * bytes, c);
  addTo(to + 3 * bytes, d);
}

/**
 * Zeros for a row without ratings, and the row's part of the objective: its penalty lambda n x'x, or with `loss` squared
 * error plus penalty, which is constant - 2 b'x + x'Ax for any x.
 */
function finish(side: Side, equations: usize): void {
  const stride = side.stride;
  const row = changetype<Equations>(equations).row;
  const constant = changetype<Equations>(equations).constant;
  const gram = gramOf(equations);
  const rhs = rhsOf(equations, stride);
  const solution = side.solved + row * stride * 4;
  const count = ratingsOf(side, row);
  if (count == 0) memory.fill(solution, 0, stride * 4);
  let part: f64 = 0;
  if (side.loss) {
    part = constant + quadraticForm(gram, solution, side.width, stride);
    for (let i: u32 = 0; i < side.width; i++) {
      part -= 2 * <f64>load<f32>(rhs + i * 4) * <f64>load<f32>(solution + i * 4);
    }
  } else {
    for (let i: u32 = 0; i < side.width; i++) {
      const x = <f64>load<f32>(solution + i * 4);
      part += x * x;
    }
    part *= <f64>side.regularization * <f64>count;
  }
  store<f64>(side.objective + row * 8, part);
}

/** x'Ax of a matrix whose upper triangle is there. */
function quadraticForm(a: usize, x: usize, width: u32, stride: u32): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < width; i++) {
    const row = a + i * stride * 4;
    let rest: f64 = 0;
    for (let j = i + 1; j < width; j++) rest += <f64>load<f32>(x + j * 4) * <f64>load<f32>(row + j * 4);
    const xi = <f64>load<f32>(x + i * 4);
    sum += xi * (xi * <f64>load<f32>(row + i * 4) + 2 * rest);
  }
  return sum;
}

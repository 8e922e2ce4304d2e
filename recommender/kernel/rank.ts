/**
 * The exact best items for each of many queries (users' factors, or items' own). Single precision finds the candidates,
 * with a margin for its rounding; double precision scores them and decides. Ties go to the smaller index.
 */

/** Queries of a register tile, and items of a panel: with a seventh query the 15 registers that V8 has would not do. */
const QUERIES: u32 = 6;
const ITEMS: u32 = 8;
/** No item: fills the last panel. */
const NONE: u32 = 0xffffffff;

/** What a ranking works on; `recommender/rank.ts` writes it, field by field, four bytes each. */
@unmanaged
class Ranking {
  /** Row of each query, u32. */
  rows: usize;
  /** f32 factors, `dimensions` floats a row: what scores are made of. */
  queries: usize;
  items: usize;
  /** f64 lengths by which scores are divided, for cosines; none for dot products. */
  queryLengths: usize;
  itemLengths: usize;
  /** f32 vectors of the queries, `bounds` floats a row, and so of the items: their products are what no score surpasses. */
  queryBounds: usize;
  /** Panels of eight items by descending norm: dimension by dimension, eight floats each; and their indices. */
  panels: usize;
  panelItems: usize;
  /** f32 a block of panels: the largest norm of its vectors and of all after it. */
  blockNorms: usize;
  panelCount: u32;
  panelsPerBlock: u32;
  dimensions: u32;
  bounds: u32;
  /** Places of a list. */
  n: u32;
  /** Items that a row leaves out, as sparse rows with ascending columns; none where `starts` is 0. */
  starts: usize;
  columns: usize;
  wide: u32;
  /** Lists by query: items u32, scores f64, counts u32. */
  listItems: usize;
  listScores: usize;
  counts: usize;
  /** Bound on the rounding of a single precision dot product, relative to the product of norms. */
  rounding: f32;
}

/** Bytes of scratch that a thread needs for `rankQueries` with up to `count` queries. */
export function rankBytes(count: u32, bounds: u32): usize {
  const groups = (count + QUERIES - 1) / QUERIES;
  return groups * QUERIES * (bounds * 4 + 4 + 4) + 64;
}

/** Fills the lists of queries [from, to). */
export function rankQueries(task: usize, from: u32, to: u32, scratch: usize): void {
  const ranking = changetype<Ranking>(task);
  const groups = (to - from + QUERIES - 1) / QUERIES;
  const groupBytes: u32 = ranking.bounds * QUERIES * 4;
  const norms = scratch + groups * groupBytes;
  const thresholds = norms + groups * QUERIES * 4;
  packQueries(ranking, from, to, scratch, norms, thresholds);
  const blocks = (ranking.panelCount + ranking.panelsPerBlock - 1) / ranking.panelsPerBlock;
  for (let block: u32 = 0; block < blocks; block++) {
    const norm = load<f32>(ranking.blockNorms + block * 4);
    const first = block * ranking.panelsPerBlock;
    const last = min(first + ranking.panelsPerBlock, ranking.panelCount);
    let open: u32 = 0;
    for (let group: u32 = 0; group < groups; group++) {
      const at = group * QUERIES;
      if (!canBeat(norm, norms + at * 4, thresholds + at * 4)) continue;
      open++;
      rankGroup(
        ranking,
        from + at,
        scratch + group * groupBytes,
        norms + at * 4,
        thresholds + at * 4,
        first,
        last,
      );
    }
    // Norms descend: what nobody's list can take from this block, it can take from none after it.
    if (open == 0) return;
  }
}

/** Whether a vector of this norm may still enter the list of one of a group's queries (Cauchy and Schwarz). */
function canBeat(norm: f32, norms: usize, thresholds: usize): bool {
  for (let query: u32 = 0; query < QUERIES * 4; query += 4) {
    // The margin covers the rounding of the norms themselves.
    if (load<f32>(norms + query) * norm * 1.00001 >= load<f32>(thresholds + query)) return true;
  }
  return false;
}

/** Lays queries out a group at a time, dimension by dimension; absent ones are out of reach of any score. */
function packQueries(
  ranking: Ranking,
  from: u32,
  to: u32,
  packed: usize,
  norms: usize,
  thresholds: usize,
): void {
  const bounds = ranking.bounds;
  const count = to - from;
  const padded = ((count + QUERIES - 1) / QUERIES) * QUERIES;
  for (let query: u32 = 0; query < padded; query++) {
    const column = packed + (query / QUERIES) * bounds * QUERIES * 4 + (query % QUERIES) * 4;
    let squares: f64 = 0;
    if (query < count) {
      const row = load<u32>(ranking.rows + (from + query) * 4);
      const vector = ranking.queryBounds + row * bounds * 4;
      for (let d: u32 = 0; d < bounds; d++) {
        const value = load<f32>(vector + d * 4);
        squares += <f64>value * <f64>value;
        store<f32>(column + d * QUERIES * 4, value);
      }
      store<u32>(ranking.counts + (from + query) * 4, 0);
    } else {
      for (let d: u32 = 0; d < bounds; d++) store<f32>(column + d * QUERIES * 4, 0);
    }
    // An item without a direction (NaN) is similar to none.
    const known = query < count && squares >= 0 && ranking.n > 0;
    store<f32>(norms + query * 4, known ? <f32>Math.sqrt(squares) : 0);
    store<f32>(thresholds + query * 4, known ? -f32.MAX_VALUE : Infinity);
  }
}

/**
 * A group of queries against panels [first, last). Multiplied and added in one where the processor can: what it rounds less is
 * within the margin, and the scores that decide are summed elsewhere, so that lists have the same bits everywhere.
 */
function rankGroup(
  ranking: Ranking,
  query: u32,
  packed: usize,
  norms: usize,
  thresholds: usize,
  first: u32,
  last: u32,
): void {
  const panelBytes: u32 = ranking.bounds * ITEMS * 4;
  const end = packed + ranking.bounds * QUERIES * 4;
  for (let panel = first; panel < last; panel++) {
    let q = packed;
    let p = ranking.panels + panel * panelBytes;
    let a0 = f32x4.splat(0),
      a1 = a0,
      b0 = a0,
      b1 = a0,
      c0 = a0,
      c1 = a0;
    let d0 = a0,
      d1 = a0,
      e0 = a0,
      e1 = a0,
      f0 = a0,
      f1 = a0;
    for (; q < end; q += QUERIES * 4, p += ITEMS * 4) {
      const x0 = v128.load(p);
      const x1 = v128.load(p, 16);
      let s = v128.load32_splat(q);
      a0 = f32x4.relaxed_madd(s, x0, a0);
      a1 = f32x4.relaxed_madd(s, x1, a1);
      s = v128.load32_splat(q, 4);
      b0 = f32x4.relaxed_madd(s, x0, b0);
      b1 = f32x4.relaxed_madd(s, x1, b1);
      s = v128.load32_splat(q, 8);
      c0 = f32x4.relaxed_madd(s, x0, c0);
      c1 = f32x4.relaxed_madd(s, x1, c1);
      s = v128.load32_splat(q, 12);
      d0 = f32x4.relaxed_madd(s, x0, d0);
      d1 = f32x4.relaxed_madd(s, x1, d1);
      s = v128.load32_splat(q, 16);
      e0 = f32x4.relaxed_madd(s, x0, e0);
      e1 = f32x4.relaxed_madd(s, x1, e1);
      s = v128.load32_splat(q, 20);
      f0 = f32x4.relaxed_madd(s, x0, f0);
      f1 = f32x4.relaxed_madd(s, x1, f1);
    }
    const ta = v128.load32_splat(thresholds);
    const tb = v128.load32_splat(thresholds, 4);
    const tc = v128.load32_splat(thresholds, 8);
    const td = v128.load32_splat(thresholds, 12);
    const te = v128.load32_splat(thresholds, 16);
    const tf = v128.load32_splat(thresholds, 20);
    const beaten = v128.or(
      v128.or(
        v128.or(either(a0, a1, ta), either(b0, b1, tb)),
        v128.or(either(c0, c1, tc), either(d0, d1, td)),
      ),
      v128.or(either(e0, e1, te), either(f0, f1, tf)),
    );
    if (v128.any_true(beaten)) {
      const items = ranking.panelItems + panel * ITEMS * 4;
      offer(ranking, query, items, lanesOf(a0, a1, ta), norms, thresholds);
      offer(ranking, query + 1, items, lanesOf(b0, b1, tb), norms + 4, thresholds + 4);
      offer(ranking, query + 2, items, lanesOf(c0, c1, tc), norms + 8, thresholds + 8);
      offer(ranking, query + 3, items, lanesOf(d0, d1, td), norms + 12, thresholds + 12);
      offer(ranking, query + 4, items, lanesOf(e0, e1, te), norms + 16, thresholds + 16);
      offer(ranking, query + 5, items, lanesOf(f0, f1, tf), norms + 20, thresholds + 20);
    }
  }
}

function either(low: v128, high: v128, threshold: v128): v128 {
  return v128.or(f32x4.ge(low, threshold), f32x4.ge(high, threshold));
}

/** Bit i is set where item i of the panel reaches the threshold. */
function lanesOf(low: v128, high: v128, threshold: v128): u32 {
  return i32x4.bitmask(f32x4.ge(low, threshold)) | (i32x4.bitmask(f32x4.ge(high, threshold)) << 4);
}

/** Puts what truly belongs into the list of a query, and lifts its threshold once the list is full. */
function offer(ranking: Ranking, query: u32, items: usize, lanes: u32, norm: usize, threshold: usize): void {
  if (lanes == 0) return;
  const row = load<u32>(ranking.rows + query * 4);
  const n = ranking.n;
  const listItems = ranking.listItems + query * n * 4;
  const listScores = ranking.listScores + query * n * 8;
  const counter = ranking.counts + query * 4;
  for (; lanes != 0; lanes &= lanes - 1) {
    const item = load<u32>(items + ctz(lanes) * 4);
    if (item == NONE) continue;
    const score = scoreOf(ranking, row, item);
    let size = load<u32>(counter);
    if (size == n && !isBetter(score, item, listScores + (n - 1) * 8, listItems + (n - 1) * 4)) continue;
    if (isLeftOut(ranking, row, item)) continue;
    if (size < n) store<u32>(counter, ++size);
    let at = size - 1;
    for (; at > 0 && isBetter(score, item, listScores + (at - 1) * 8, listItems + (at - 1) * 4); at--) {
      store<f64>(listScores + at * 8, load<f64>(listScores + (at - 1) * 8));
      store<u32>(listItems + at * 4, load<u32>(listItems + (at - 1) * 4));
    }
    store<f64>(listScores + at * 8, score);
    store<u32>(listItems + at * 4, item);
    if (size == n) {
      const margin = <f64>ranking.rounding * <f64>load<f32>(norm) * <f64>load<f32>(ranking.blockNorms);
      store<f32>(threshold, <f32>(load<f64>(listScores + (n - 1) * 8) - margin));
    }
  }
}

function isBetter(score: f64, item: u32, otherScore: usize, otherItem: usize): bool {
  const other = load<f64>(otherScore);
  return score > other || (score == other && item < load<u32>(otherItem));
}

/** The score that counts: summed in double precision from the first dimension to the last. */
function scoreOf(ranking: Ranking, row: u32, item: u32): f64 {
  const dimensions = ranking.dimensions;
  const left = ranking.queries + row * dimensions * 4;
  const right = ranking.items + item * dimensions * 4;
  let sum: f64 = 0;
  for (let d: u32 = 0; d < dimensions * 4; d += 4)
    sum += <f64>load<f32>(left + d) * <f64>load<f32>(right + d);
  if (ranking.queryLengths == 0) return sum;
  const cosine =
    sum / (load<f64>(ranking.queryLengths + row * 8) * load<f64>(ranking.itemLengths + item * 8));
  // Rounding may carry a cosine past its bounds.
  return Math.max(-1, Math.min(1, cosine));
}

/** Whether the row has the item among those it leaves out; of cosines, whether it is itself. */
function isLeftOut(ranking: Ranking, row: u32, item: u32): bool {
  if (ranking.queryLengths != 0) return row == item;
  if (ranking.starts == 0) return false;
  let low = load<u32>(ranking.starts + row * 4);
  let high = load<u32>(ranking.starts + row * 4, 4);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const column = ranking.wide
      ? load<u32>(ranking.columns + middle * 4)
      : load<u16>(ranking.columns + middle * 2);
    if (column == item) return true;
    if (column < item) low = middle + 1;
    else high = middle;
  }
  return false;
}

import { sharedArray } from './memory.ts';
import { createRandom } from './random.ts';
import { runThreads } from './threads/pool.ts';
import type { ThreadContext } from './threads/protocol.ts';

/** Two models' sums of a value on the same users, and how many values stand behind each. */
export interface PairedValues {
  a: Float64Array;
  b: Float64Array;
  counts: Int32Array;
  /** `rmse`: the values are squared errors, and the root of their mean is compared; `mean`: their mean is. */
  statistic: 'rmse' | 'mean';
}

export interface BootstrapResult {
  /** Of A minus that of B. */
  difference: number;
  /** Percentile interval at 95%. */
  low: number;
  high: number;
  /** Two-sided, from the share of resamples on the other side of zero; at least 2 / (resamples + 1). */
  p: number;
}

export interface BootstrapTask {
  /** Of each user the sum of A, that of B and their number. */
  values: Float64Array;
  statistic: PairedValues['statistic'];
  resamples: number;
  seed: number;
}

/** Of a user in `values`. */
const FIELDS = 3;

/** Of a generator's state: sfc32 as in `createRandom`. */
const WORDS = 4;

/** Different random numbers that a weight is looked up by: half of a generator's output. */
const RANDOMS = 2 ** 16;

/**
 * Users that all resamples pass over before the next are looked at: their values stay in the processor's first cache.
 * Even, as an output of the generator weighs two users.
 */
const BLOCK = 512;

/**
 * Paired bootstrap of a difference: users are resampled, so that what is common to both models falls out.
 * Deterministic for a seed, whatever the number of threads.
 *
 * How often a user is drawn is Poisson(1) and independent of the others, not a draw of as many users as there are:
 * a resample is one pass over the users in their order. How many are drawn varies, which falls out as well, since what
 * is compared is a sum over another.
 * Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson frequencies", Computer Methods
 * and Programs in Biomedicine 83; Chamandy et al. (2012), "Estimating uncertainty for massive data streams" (Google).
 * Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13 (percentile interval).
 */
export async function pairedBootstrap(
  { a, b, counts, statistic, resamples, seed }: PairedValues & Pick<BootstrapTask, 'resamples' | 'seed'>,
  { threads, signal }: { threads: number; signal?: AbortSignal },
): Promise<BootstrapResult> {
  const task: BootstrapTask = { values: interleave(a, b, counts), statistic, resamples, seed };
  const parts = await runThreads<Float64Array>('bootstrap', task, { threads, signal });
  const differences = Float64Array.from(parts.flatMap((part) => [...part])).sort();
  const values = total(counts);
  return {
    difference: valueOf(statistic, total(a), values) - valueOf(statistic, total(b), values),
    low: quantile(differences, 0.025),
    high: quantile(differences, 0.975),
    p: pValue(differences),
  };
}

/** A user's values side by side, in the order in which they are read; shared, so that no thread has a copy. */
function interleave(a: Float64Array, b: Float64Array, counts: Int32Array): Float64Array {
  const values = sharedArray(Float64Array, counts.length * FIELDS);
  for (let user = 0; user < counts.length; user++) {
    values[user * FIELDS] = a[user];
    values[user * FIELDS + 1] = b[user];
    values[user * FIELDS + 2] = counts[user];
  }
  return values;
}

/** The work of `pairedBootstrap`, on a thread: the differences of its share of the resamples, each drawn by numbers of its own. */
export function resampleUsers(
  { values, statistic, resamples, seed }: BootstrapTask,
  { thread, threads }: Pick<ThreadContext, 'thread' | 'threads'>,
): Float64Array {
  const own = Math.max(0, Math.ceil((resamples - thread) / threads));
  const states = new Int32Array(own * WORDS);
  for (let at = 0; at < own; at++) {
    // Seeds in a row are as good as any: the generator's first outputs are thrown away.
    const random = createRandom(seed + thread + at * threads);
    states.set([random(), random(), random(), 1], at * WORDS);
  }
  const weights = poissonWeights();
  const sums = new Float64Array(own * FIELDS);
  const block = new Float64Array(BLOCK * FIELDS);
  const hasCounts = values.some((value, at) => at % FIELDS === FIELDS - 1 && value > 0);
  let open = Array.from({ length: own }, (_, at) => at);
  while (open.length > 0) {
    for (const at of open) sums.fill(0, at * FIELDS, (at + 1) * FIELDS);
    for (let from = 0; from < values.length; from += block.length) {
      // Of its own and always full: users who are not there weigh nothing.
      block.fill(0);
      block.set(values.subarray(from, from + block.length));
      addWeighted(block, weights, { open, states, sums });
    }
    // Of few users all may weigh 0, and nothing is measured on none: such a resample goes on with its generator. Each
    // pass counts something with a chance of 1 - 1/e at least, so it ends; where nobody has a value, none would.
    open = hasCounts ? open.filter((at) => sums[at * FIELDS + 2] === 0) : [];
  }
  return Float64Array.from({ length: own }, (_, at) => {
    const [sumA, sumB, counted] = sums.subarray(at * FIELDS, (at + 1) * FIELDS);
    return valueOf(statistic, sumA, counted) - valueOf(statistic, sumB, counted);
  });
}

/** Resamples of a thread: where their generators are, and what they have come to so far. */
interface Resamples {
  /** Those that are being drawn. */
  open: readonly number[];
  states: Int32Array;
  sums: Float64Array;
}

/**
 * Adds a block of users to each resample that is open. The generator is written out here, as in `createRandom`: with
 * a call of it the pass takes twice the time.
 */
function addWeighted(block: Float64Array, weights: Uint8Array, { open, states, sums }: Resamples): void {
  for (const resample of open) {
    const state = resample * WORDS;
    const sum = resample * FIELDS;
    let a = states[state];
    let b = states[state + 1];
    let c = states[state + 2];
    let counter = states[state + 3];
    let sumA = sums[sum];
    let sumB = sums[sum + 1];
    let counted = sums[sum + 2];
    for (let at = 0; at < BLOCK * FIELDS; at += 2 * FIELDS) {
      const random = (((a + b) | 0) + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + random) | 0;
      const first = weights[random & (RANDOMS - 1)];
      const second = weights[random >>> 16];
      sumA += first * block[at] + second * block[at + 3];
      sumB += first * block[at + 1] + second * block[at + 4];
      counted += first * block[at + 2] + second * block[at + 5];
    }
    states[state] = a;
    states[state + 1] = b;
    states[state + 2] = c;
    states[state + 3] = counter;
    sums[sum] = sumA;
    sums[sum + 1] = sumB;
    sums[sum + 2] = counted;
  }
}

/**
 * The weight of each of 65,536 equally likely numbers: Poisson(1) by its inverse distribution function. 16 bits put no
 * cumulative probability off by more than 2^-17. The largest weight is 8; the mean is 1 and the variance 1 - 2^-15,
 * which makes an interval narrower by 0.0015%.
 */
export function poissonWeights(): Uint8Array {
  const weights = new Uint8Array(RANDOMS);
  let weight = 0;
  let probability = Math.exp(-1);
  let cumulative = probability;
  for (let random = 0; random < RANDOMS; random++) {
    while ((random + 0.5) / RANDOMS > cumulative) {
      weight++;
      probability /= weight;
      cumulative += probability;
    }
    weights[random] = weight;
  }
  return weights;
}

function valueOf(statistic: PairedValues['statistic'], sum: number, values: number): number {
  return statistic === 'rmse' ? Math.sqrt(sum / values) : sum / values;
}

function total(values: Float64Array | Int32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/**
 * Davison and Hinkley (1997), "Bootstrap Methods and their Application", section 4.2: one is added to both counts, so
 * that no finite number of resamples says never.
 */
function pValue(sorted: Float64Array): number {
  let below = 0;
  let above = 0;
  for (const value of sorted) {
    if (value <= 0) below++;
    if (value >= 0) above++;
  }
  return Math.min(1, (2 * (Math.min(below, above) + 1)) / (sorted.length + 1));
}

/**
 * Holm's step-down correction of the p-values of a family of tests, in their order.
 * Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure".
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, at) => at).sort((a, b) => pValues[a] - pValues[b]);
  const adjusted = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((at, place) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - place) * pValues[at]));
    adjusted[at] = largest;
  });
  return adjusted;
}

/** Linear interpolation between closest ranks of sorted values. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

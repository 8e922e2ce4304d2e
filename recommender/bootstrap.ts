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

/**
 * Paired bootstrap of a difference: users are resampled with replacement, so that what is common to both
 * models falls out. Deterministic for a seed, whatever the number of threads.
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

/** A user's values side by side, so that a draw looks at one place; shared, so that no thread has a copy. */
function interleave(a: Float64Array, b: Float64Array, counts: Int32Array): Float64Array {
  const values = new Float64Array(
    new SharedArrayBuffer(counts.length * FIELDS * Float64Array.BYTES_PER_ELEMENT),
  );
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
  const users = values.length / FIELDS;
  const differences: number[] = [];
  for (let resample = thread; resample < resamples; resample += threads) {
    // Seeds in a row are as good as any: the generator's first outputs are thrown away.
    const random = createRandom(seed + resample);
    let sumA = 0;
    let sumB = 0;
    let counted = 0;
    for (let draw = 0; draw < users; draw++) {
      const at = Math.floor((random() / 2 ** 32) * users) * FIELDS;
      sumA += values[at];
      sumB += values[at + 1];
      counted += values[at + 2];
    }
    differences.push(valueOf(statistic, sumA, counted) - valueOf(statistic, sumB, counted));
  }
  return Float64Array.from(differences);
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

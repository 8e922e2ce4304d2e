import { createRandom } from './random.ts';
import { runThreads } from './threads/pool.ts';

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

export interface BootstrapTask extends PairedValues {
  resamples: number;
  seed: number;
}

/**
 * Paired bootstrap of a difference: users are resampled with replacement, so that what is common to both
 * models falls out. Deterministic for a seed. In a thread: 1,000 resamples of 160,000 users take 1.9 s.
 * Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13 (percentile interval).
 */
export async function pairedBootstrap(task: BootstrapTask, signal?: AbortSignal): Promise<BootstrapResult> {
  const [result] = await runThreads<BootstrapResult>('bootstrap', task, { threads: 1, signal });
  return result;
}

/** The work of `pairedBootstrap`, on the thread. */
export function resampleUsers({ a, b, counts, statistic, resamples, seed }: BootstrapTask): BootstrapResult {
  const of = (sum: number, values: number): number =>
    statistic === 'rmse' ? Math.sqrt(sum / values) : sum / values;
  const users = counts.length;
  const random = createRandom(seed);
  const differences = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sumA = 0;
    let sumB = 0;
    let values = 0;
    for (let draw = 0; draw < users; draw++) {
      const user = Math.floor((random() / 2 ** 32) * users);
      sumA += a[user];
      sumB += b[user];
      values += counts[user];
    }
    differences[resample] = of(sumA, values) - of(sumB, values);
  }
  differences.sort();
  const total = (values: Float64Array | Int32Array): number => {
    let sum = 0;
    for (const value of values) sum += value;
    return sum;
  };
  const values = total(counts);
  return {
    difference: of(total(a), values) - of(total(b), values),
    low: quantile(differences, 0.025),
    high: quantile(differences, 0.975),
    p: pValue(differences),
  };
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

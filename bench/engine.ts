/** What the engine does with ratings of a given number, and what the machine could. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import {
  type AlsConfiguration,
  type RatingMatrix,
  buildRatingMatrix,
  recommendTopN,
  similarItems,
  trainModel,
} from '../recommender/index.ts';
import { measurePlain } from './measure-plain.ts';
import { measureMultiplyAdd } from './multiply-add.ts';
import { synthesiseRatings } from './synthetic-ratings.ts';
import { multiplyAdds } from './work.ts';

export interface EngineOptions {
  ratings: number;
  rank: number;
  iterations: number;
  threads: number;
  /** Told how it goes. */
  say: (line: string) => void;
}

export interface EngineReport {
  ratings: number;
  users: number;
  movies: number;
  rank: number;
  threads: number;
  generate_seconds: number;
  build_seconds: number;
  /** The whole training, as its caller waits for it. */
  train_seconds: number;
  /** Of the iterations, median and each; threads are started within the first. */
  iteration_seconds: number;
  iterations: number[];
  /** Of the median iteration: two operations a multiply-add of `multiplyAdds`. */
  gflops: number;
  topn_seconds: number;
  similar_seconds: number;
  /** While training, beyond the timer's own millisecond. */
  event_loop_delay_max_ms: number;
  event_loop_delay_p99_ms: number;
  /** From the abort of a training to the end of its promise. */
  cancel_seconds: number;
  /** Of this process, the generator and all of the engine's threads included, the plain implementation not. */
  peak_rss_mb: number;
  plain_iteration_seconds: number;
  /** Every so many rows the plain implementation solved; 1: a whole iteration. */
  plain_step: number;
  /** What the machine's units do on the same number of threads. */
  multiply_add_gflops: number;
}

const REGULARIZATION = 0.1;
/** Of the event loop's delay, in milliseconds: what the timer waits between two looks. */
const RESOLUTION = 1;

/** Runs every part of the engine once, at its real size, beside its yardsticks. */
export async function benchEngine(options: EngineOptions): Promise<EngineReport> {
  const { rank, iterations, threads, say } = options;
  const configuration: AlsConfiguration = {
    family: 'als',
    rank,
    iterations,
    regularization: REGULARIZATION,
    seed: 42,
  };
  const { matrix, ...built } = await buildSyntheticMatrix(options);
  const { model, ...trained } = await trainWatched(matrix, configuration, options);
  const iteration = median(trained.iterations);
  const topn = await seconds(() =>
    recommendTopN(model, { n: 20, ratings: matrix, excludeRated: true, minimumRatings: 0, threads }),
  );
  say(`top 20 for all users: ${topn.seconds.toFixed(2)} s`);
  const similar = await seconds(() =>
    similarItems(model, { n: 10, ratings: matrix, minimumRatings: 0, threads }),
  );
  say(`similar movies: ${similar.seconds.toFixed(2)} s`);
  const cancel_seconds = await timeCancellation(matrix, configuration, threads, iteration);
  say(`cancelled: ${cancel_seconds.toFixed(3)} s`);
  // The yardsticks come last: the peak is the engine's.
  const peak_rss_mb = process.resourceUsage().maxRSS / 1024;
  const plain = await measurePlain(matrix, configuration);
  say(`plain TypeScript, an iteration: ${plain.seconds.toFixed(2)} s`);
  const work = multiplyAdds(matrix.byUser.starts, rank) + multiplyAdds(matrix.byItem.starts, rank);
  const users = matrix.userIds.length;
  const movies = matrix.itemIds.length;
  return {
    ratings: options.ratings,
    users,
    movies,
    rank,
    threads,
    ...built,
    ...trained,
    iteration_seconds: iteration,
    gflops: (2 * work) / iteration / 1e9,
    topn_seconds: topn.seconds,
    similar_seconds: similar.seconds,
    cancel_seconds,
    peak_rss_mb,
    plain_iteration_seconds: plain.seconds,
    plain_step: plain.step,
    multiply_add_gflops: (await measureMultiplyAdd(threads)) / 1e9,
  };
}

async function buildSyntheticMatrix({ ratings, threads, say }: EngineOptions) {
  const columns = await seconds(() => synthesiseRatings(ratings));
  say(`generated ${ratings.toLocaleString('en')} ratings: ${columns.seconds.toFixed(2)} s`);
  const matrix = await seconds(() => buildRatingMatrix(columns.value, { threads }));
  columns.value.free();
  say(`matrix: ${matrix.seconds.toFixed(2)} s`);
  return { matrix: matrix.value, generate_seconds: columns.seconds, build_seconds: matrix.seconds };
}

async function trainWatched(
  matrix: RatingMatrix,
  configuration: AlsConfiguration,
  { threads, say }: EngineOptions,
) {
  const iterations: number[] = [];
  let before = 0;
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  const training = await seconds(() =>
    trainModel(matrix, configuration, {
      threads,
      onIteration: (progress) => {
        iterations.push(progress.seconds - before);
        before = progress.seconds;
        say(`iteration ${progress.iteration}: ${iterations[iterations.length - 1].toFixed(3)} s`);
      },
    }),
  );
  delay.disable();
  const beyondTimer = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  return {
    model: training.value,
    iterations,
    train_seconds: training.seconds,
    event_loop_delay_max_ms: beyondTimer(delay.max),
    event_loop_delay_p99_ms: beyondTimer(delay.percentile(99)),
  };
}

/** Aborts a training in the middle of its second iteration. */
async function timeCancellation(
  matrix: RatingMatrix,
  configuration: AlsConfiguration,
  threads: number,
  iterationSeconds: number,
): Promise<number> {
  const controller = new AbortController();
  let aborted = 0;
  const training = trainModel(
    matrix,
    { ...configuration, iterations: 1_000 },
    {
      threads,
      signal: controller.signal,
      onIteration: ({ iteration }) => {
        if (iteration !== 1) return;
        void setTimeout(iterationSeconds * 500).then(() => {
          aborted = performance.now();
          controller.abort();
        });
      },
    },
  );
  await training.catch((error: unknown) => {
    if (!controller.signal.aborted) throw error;
  });
  return (performance.now() - aborted) / 1000;
}

async function seconds<Value>(work: () => Promise<Value>): Promise<{ value: Value; seconds: number }> {
  const began = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - began) / 1000 };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

import type { Configuration, IterationProgress } from '../../recommender/index.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';

/**
 * Turns the trainer's iterations into heartbeat progress.
 * @param done iterations of the configuration that were done before
 */
export function reportIterations(
  report: Heartbeat['report'],
  configuration: Configuration,
  done = 0,
): (progress: IterationProgress) => void {
  const total = 'iterations' in configuration ? configuration.iterations : undefined;
  return ({ iteration }) => report({ step: 'training, iteration', done: done + iteration, total });
}

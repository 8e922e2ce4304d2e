import { whenOrphaned } from '../../stack/index.ts';

/** How a command is told to end from outside. */
export interface Stopping {
  /** Resolves on SIGINT, SIGTERM or SIGHUP, or when the parent (npm) has died. */
  promise: Promise<void>;
  /** Aborts then, with an error that says `message`. */
  signal(message: string): AbortSignal;
  /** The result of `work`, or an error that says `message` when stopping comes first. */
  or<Result>(work: Promise<Result>, message?: string): Promise<Result>;
}

/** Ends a command that was stopped; the night itself goes on where it was when a stack runs again. */
export class StoppedError extends Error {
  override name = 'StoppedError';
}

export function untilStopped(): Stopping {
  const promise = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
    whenOrphaned(resolve);
  });
  return {
    promise,
    signal: (message) => {
      const controller = new AbortController();
      void promise.then(() => controller.abort(new StoppedError(message)));
      return controller.signal;
    },
    or: (work, message = 'stopped; a run that was under way goes on when the stack runs again') =>
      Promise.race([
        work,
        promise.then(() => {
          throw new StoppedError(message);
        }),
      ]),
  };
}

import { Context } from '@temporalio/activity';

/** What a long activity tells the people who watch it; heartbeat details inform, they are no checkpoint. */
export interface Progress {
  /** What is being done now, in words. */
  step: string;
  /** Rows (or iterations) done and expected, where known. */
  done?: number;
  total?: number;
}

export interface Heartbeat {
  /** Aborts when the activity is cancelled, times out or the worker shuts down. */
  signal: AbortSignal;
  report: (progress: Progress) => void;
}

/** Half of the worker's throttle interval, so that a cancellation is noticed within about a second. */
const BEAT_MILLISECONDS = 500;

/**
 * Spans a whole long activity: beats on a timer while `body` runs, carries its latest progress, and hands it
 * the signal by which a cancellation stops a query or a thread.
 */
export async function withHeartbeat<Result>(
  body: (heartbeat: Heartbeat) => Promise<Result>,
): Promise<Result> {
  const context = Context.current();
  let progress: Progress = { step: 'starting' };
  const beat = (): void => context.heartbeat(progress);
  beat();
  const timer = setInterval(beat, BEAT_MILLISECONDS);
  try {
    return await body({ signal: context.cancellationSignal, report: (next) => (progress = next) });
  } catch (error) {
    // A cancelled query or thread fails in its own words; what happened is a cancellation.
    context.cancellationSignal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(timer);
  }
}

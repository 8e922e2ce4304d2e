import { DefaultLogger, type LogLevel, Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import { type Logger, pino } from 'pino';

/** One structured stream for the product and the SDK, on standard output. */
export function createLogger(level: string): Logger {
  return pino({ level, base: { pid: process.pid } });
}

const LEVELS: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** Sends the SDK's logs, those of its native core too, into `log`. Once a process, before anything connects. */
export function installRuntime(log: Logger): void {
  Runtime.install({
    logger: new DefaultLogger('DEBUG', ({ level, message, meta }) => {
      const { sdkComponent, workflowId, activityId, activityType, attempt, error } = (meta ?? {}) as Record<
        string,
        unknown
      >;
      log[LEVELS[level]](
        { sdkComponent, workflowId, activityId, activityType, attempt, err: error },
        message,
      );
    }),
    telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) } },
    // The process decides when to shut down: see main.ts.
    shutdownSignals: [],
  });
}

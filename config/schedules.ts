/** What runs by itself, as data: `npm run schedule -- apply` makes the server's schedules so. */

export interface DeclaredSchedule {
  id: string;
  /** Daily at a time, or every so many minutes (for tests and trials). */
  at: { hour: number; minute: number } | { everyMinutes: number };
  /** UTC unless there is a reason: a local time may come twice, or not at all, when clocks change. */
  timezone: string;
  /** Spreads starts that would fall together; the nominal time, and so the as-of, stays. */
  jitterSeconds: number;
  /** How late a missed night is still started when the server comes back. */
  catchupHours: number;
  /** Whether a failed night pauses the schedule until a person resumes it. */
  pauseOnFailure: boolean;
  /** Input of `nightlyPipeline`. Without an as-of: it is the nominal time, which a late or backfilled run keeps. */
  request: { profile: string; overrides?: string[] };
}

export const schedules: DeclaredSchedule[] = [
  {
    id: 'nightjar-nightly',
    at: { hour: 2, minute: 0 },
    timezone: 'UTC',
    jitterSeconds: 0,
    // The server's own default is a year. Half a day late is still tonight; later the next night does it all.
    catchupHours: 12,
    // A night reads everything anew, so the next one may well succeed; what failed raises an alert.
    pauseOnFailure: false,
    request: { profile: 'production' },
  },
];

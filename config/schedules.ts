/** What runs by itself, as data: `npm run schedule -- apply` makes the server's schedules so. */

interface ScheduleTimes {
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
}

/** A schedule and what it starts. */
export type DeclaredSchedule = ScheduleTimes &
  (
    | {
        workflow: 'nightlyPipeline';
        /** Without an as-of: it is the nominal time, which a late or backfilled run keeps. */
        request: { profile: string; overrides?: string[] };
      }
    | { workflow: 'watchdog'; request: WatchdogRequest }
    | { workflow: 'speedLayer'; request: SpeedRequest }
  );

/** How a pass of the speed layer is made: as the nights have it that readers see, unless it says otherwise. */
export interface SpeedRequest {
  /** ISO instant; the schedule's nominal time, else the start time, where it is left out. */
  asOf?: string;
  /** Named set of defaults; the served nights' own settings where it is left out. */
  profile?: string;
  /** `section.key=value` overrides of them. */
  overrides?: string[];
  /** As in `NightlyRequest`. */
  database?: string;
}

/** What the watchdog looks at. */
export interface WatchdogRequest {
  /** Schedules whose nights it misses. */
  schedules: string[];
  /** A night that has no run so long after its nominal time is missed. */
  graceMinutes: number;
  /** How far it looks back when it has not looked for longer. */
  days: number;
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
    workflow: 'nightlyPipeline',
    request: { profile: 'production' },
  },
  {
    id: 'nightjar-watchdog',
    at: { everyMinutes: 15 },
    timezone: 'UTC',
    jitterSeconds: 0,
    // A look is of now: one that was missed is not made up for, and a server that comes back begins its nights first.
    catchupHours: 0.05,
    pauseOnFailure: false,
    workflow: 'watchdog',
    // A night begins within seconds; an hour is for a server that is down over it and starts it when it is back.
    request: { schedules: ['nightjar-nightly'], graceMinutes: 60, days: 7 },
  },
  {
    id: 'nightjar-speed',
    at: { everyMinutes: 5 },
    timezone: 'UTC',
    jitterSeconds: 0,
    // A pass is of now, as a look of the watchdog is.
    catchupHours: 0.05,
    pauseOnFailure: false,
    workflow: 'speedLayer',
    request: {},
  },
];

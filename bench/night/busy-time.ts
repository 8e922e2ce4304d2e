/** A stretch of time, in milliseconds since the epoch. */
export interface Interval {
  from: number;
  to: number;
}

/** Milliseconds of `whole` in which at least one of the intervals is under way: what overlaps counts once. */
export function busyMilliseconds(whole: Interval, intervals: readonly Interval[]): number {
  let busy = 0;
  let until = whole.from;
  for (const { from, to } of intervals.toSorted((a, b) => a.from - b.from)) {
    const start = Math.max(from, until);
    const end = Math.min(to, whole.to);
    if (end <= start) continue;
    busy += end - start;
    until = end;
  }
  return busy;
}

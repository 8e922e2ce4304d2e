import { readFileSync, writeFileSync } from 'node:fs';

/** A tenth of an equal share, where others want all they can get. */
const NICENESS = 10;

/**
 * Lets whoever waits for an answer go first, where the scheduler shares the processors between sessions, and only then within
 * each (Linux, "The autogroup feature" of sched(7)): there the niceness of a thread is felt within its own session alone. Only in
 * a session of its own, as a service has one: any other is of its parent too.
 */
export function yieldToOtherSessions(): void {
  if (process.platform !== 'linux') return;
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    // Behind the name, which may hold anything: state, parent, group, session.
    const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
    if (Number(session) === process.pid) writeFileSync('/proc/self/autogroup', String(NICENESS));
  } catch {
    // A kernel without such groups: there threads' niceness is felt by all.
  }
}

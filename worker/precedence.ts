import { readFileSync, writeFileSync } from 'node:fs';
import type { PoolClient } from 'pg';

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

/**
 * The same for the PostgreSQL process that serves a connection of ours, a session of its own, where it is one of this host: its
 * title, `postgres: role database host(port) …`, names our end of the connection. What it starts to run a plan in parallel is not
 * reached.
 */
export function yieldBackend(client: PoolClient): void {
  const { processID } = client as unknown as { processID: number };
  const { localPort } = client.connection.stream as { localPort?: number };
  try {
    const title = readFileSync(`/proc/${processID}/cmdline`, 'utf8');
    if (title.startsWith('postgres: ') && title.includes(`(${localPort}) `))
      writeFileSync(`/proc/${processID}/autogroup`, String(NICENESS));
  } catch (error) {
    // Of another host or user, or without such groups. Linux lets only one who may administer it do so twice in a tenth of a second.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN')
      setTimeout(() => yieldBackend(client), AGAIN_MILLISECONDS).unref();
  }
}

const AGAIN_MILLISECONDS = 150;

/** Processor time of this process with all that it started, and of everybody else, as Linux keeps account of it. */

import { readFile, readdir } from 'node:fs/promises';

/** Units of `/proc`'s times: a hundredth of a second on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

export interface ProcessorTime {
  /** Of a process and its descendants, those that have ended included. */
  own: number;
  /** Of the whole machine, what its host gave to others included. */
  machine: number;
}

/** Seconds of processor time so far; null where the system does not tell. */
export async function processorTime(root: number): Promise<ProcessorTime | null> {
  const stat = await readFile('/proc/stat', 'utf8').catch(() => null);
  if (stat === null) return null;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const processes = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)),
  );
  return {
    own: treeSeconds(
      processes.filter((one) => one !== null),
      root,
    ),
    machine: machineSeconds(stat),
  };
}

/** Share of the processors' time in a stretch that others took, 0 to 1. */
export function othersShare(
  before: ProcessorTime,
  after: ProcessorTime,
  { seconds, processors }: { seconds: number; processors: number },
): number {
  const others = after.machine - before.machine - (after.own - before.own);
  return Math.min(1, Math.max(0, others / (seconds * processors)));
}

/** The first line of `/proc/stat`: all but idle and waiting for disks. */
export function machineSeconds(stat: string): number {
  const [user, nice, system, , , irq, softirq, steal] = stat
    .split('\n')[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_A_SECOND;
}

/** Of the lines of `/proc/<pid>/stat` those of `root` and its descendants, with their children that have ended. */
export function treeSeconds(stats: readonly string[], root: number): number {
  const processes = stats.map(parseStat);
  const within = new Set([root]);
  for (let size = 0; size < within.size;) {
    size = within.size;
    for (const { pid, parent } of processes) if (within.has(parent)) within.add(pid);
  }
  const ticks = processes.reduce((sum, one) => (within.has(one.pid) ? sum + one.ticks : sum), 0);
  return ticks / TICKS_A_SECOND;
}

function parseStat(stat: string): { pid: number; parent: number; ticks: number } {
  // The name is in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [PARENT, FIRST_TIME, TIMES] = [1, 11, 4];
  return {
    pid: Number.parseInt(stat, 10),
    parent: Number(fields[PARENT]),
    ticks: fields.slice(FIRST_TIME, FIRST_TIME + TIMES).reduce((sum, time) => sum + Number(time), 0),
  };
}

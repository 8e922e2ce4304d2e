/** Memory of other processes, as Linux keeps account of it; null or nothing on other systems. */

import { readFile, writeFile } from 'node:fs/promises';

const KILOBYTES_A_MEGABYTE = 1024;

/** A field of `/proc/<pid>/status` in megabytes; null where there is none. */
export function statusMegabytes(status: string, field: string): number | null {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status);
  return match === null ? null : Number(match[1]) / KILOBYTES_A_MEGABYTE;
}

async function statusOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
}

/** Starts the peak of a process anew; where that is refused, the peak is that of its whole life. */
export async function forgetPeak(pid: number): Promise<void> {
  const PEAK = '5';
  await writeFile(`/proc/${pid}/clear_refs`, PEAK).catch(() => undefined);
}

/** Peak of resident memory of a process since `forgetPeak`, in megabytes. */
export async function peakMegabytes(pid: number): Promise<number | null> {
  return statusMegabytes(await statusOf(pid), 'VmHWM');
}

/** The parent of a process. */
export async function parentOf(pid: number): Promise<number | null> {
  const match = /^PPid:\s+(\d+)$/m.exec(await statusOf(pid));
  return match === null ? null : Number(match[1]);
}

export interface ServerMemory {
  /** Private memory of all processes together and, once, the largest piece that one of them sees of what they share. */
  peak_mb: number;
  /** Of that moment. */
  private_mb: number;
  shared_mb: number;
}

/** Long enough that looking costs nothing, short enough for a sort that lasts a second. */
const LOOK_MILLISECONDS = 250;

/**
 * Watches the processes of a server: `root` and its children.
 *
 * Their resident sizes cannot be added, because each counts the shared buffers that it has touched; the kernel's fair
 * share of them (Pss) costs 16 ms for each process and look. So private memory (RssAnon) is added, and of shared memory
 * (RssShmem) the largest is taken.
 * @returns what ends the watch and gives its peak, null where nothing could be seen
 */
export function watchServer(root: number): () => Promise<ServerMemory | null> {
  let peak: ServerMemory | null = null;
  const ending = new AbortController();
  const look = async (): Promise<void> => {
    const children = await readFile(`/proc/${root}/task/${root}/children`, 'utf8').catch(() => '');
    const pids = [root, ...children.trim().split(/\s+/).filter(Boolean).map(Number)];
    const found = serverMemory(await Promise.all(pids.map(statusOf)));
    if (found !== null && found.peak_mb > (peak?.peak_mb ?? 0)) peak = found;
  };
  const watching = (async () => {
    while (!ending.signal.aborted) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  })();
  return async () => {
    ending.abort();
    await watching;
    return peak;
  };
}

/** What the processes of a server hold together, by their statuses. */
export function serverMemory(statuses: readonly string[]): ServerMemory | null {
  const anonymous = statuses
    .map((status) => statusMegabytes(status, 'RssAnon'))
    .filter((one) => one !== null);
  if (anonymous.length === 0) return null;
  const private_mb = anonymous.reduce((sum, one) => sum + one, 0);
  const shared_mb = Math.max(0, ...statuses.map((status) => statusMegabytes(status, 'RssShmem') ?? 0));
  return { peak_mb: private_mb + shared_mb, private_mb, shared_mb };
}

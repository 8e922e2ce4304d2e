import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { signalsOf, type Service } from './keeper-protocol.ts';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The command line of a process, empty where it is gone: a number may belong to somebody else by now. */
export function commandLine(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  try {
    if (existsSync('/proc/self/cmdline')) return readFileSync(file, 'utf8').replaceAll('\0', ' ');
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } catch {
    return '';
  }
}

/** Stops a service by its process id, from polite to final. */
export async function stopProcess(pid: number, name: Service['name']): Promise<void> {
  for (const signal of signalsOf({ name })) {
    if (!isAlive(pid)) return;
    process.kill(pid, signal);
    for (let waited = 0; waited < 4_000 && isAlive(pid); waited += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The process that started `pid`; 0 where there is none to be found. */
function parentOf(pid: number): number {
  try {
    return Number(
      execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return 0;
  }
}

/**
 * Calls back once when this process was left behind by the one that started it. (npm killed by SIGKILL leaves
 * the script that it ran under another parent, with nobody to press Ctrl-C; or under the shell that npm ran it by.)
 */
export function whenOrphaned(callback: () => void): void {
  const parent = process.ppid;
  const npm = commandLine(parent).startsWith('sh -c ') ? parentOf(parent) : 0;
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === 0 || isAlive(npm))) return;
    clearInterval(timer);
    callback();
  }, 500);
  timer.unref();
}

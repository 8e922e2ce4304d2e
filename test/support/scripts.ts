import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts a command of `scripts/` as an engineer does, without keeping this process from its own work. */
export function startScript(
  [script, ...args]: string[],
  env: Record<string, string>,
): { process: ChildProcess; finished: Promise<Finished> } {
  const child = spawn(process.execPath, [`${root}/scripts/${script}.ts`, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const finished = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(
    ([[code], stdout, stderr]) => ({ code: code as number | null, stdout, stderr }),
  );
  return { process: child, finished };
}

/** Runs a command line of words to its end. */
export function runScript(line: string, env: Record<string, string>): Promise<Finished> {
  return startScript(line.split(' '), env).finished;
}

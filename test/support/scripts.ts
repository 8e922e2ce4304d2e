import { type ExecFileException, execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command of `scripts/` as an engineer does, without keeping this process from its own work. */
export function runScript(line: string, env: Record<string, string>): Promise<Finished> {
  const [script, ...args] = line.split(' ');
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [`${root}/scripts/${script}.ts`, ...args],
      { cwd: root, env: { ...process.env, ...env } },
      (error: ExecFileException | null, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

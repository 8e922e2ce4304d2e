import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { POINTER_FILE, STATE_DIRECTORY } from './places.ts';
import { isKept, readState, stopLeftovers } from './state.ts';

/** The folders that hold the local stack's state: the clone's own, and the one outside where there is one. */
export function stateDirectories(directory = STATE_DIRECTORY): string[] {
  const pointer = join(directory, POINTER_FILE);
  const outside = existsSync(pointer) ? [readFileSync(pointer, 'utf8').trim()] : [];
  return [directory, ...outside].filter((path) => existsSync(path));
}

/**
 * Deletes the local stack's state: databases, workflow histories, logs.
 * @throws while the stack runs
 */
export async function removeState(
  log: (line: string) => void,
  directory = STATE_DIRECTORY,
): Promise<string[]> {
  const directories = stateDirectories(directory);
  for (const path of directories) {
    const state = readState(path);
    if (state !== null && isKept(state)) {
      throw new Error(`the stack in ${path} is running (process ${state.keeper}); stop it first`);
    }
    await stopLeftovers(path, log);
  }
  for (const path of directories) rmSync(path, { recursive: true, force: true });
  return directories;
}

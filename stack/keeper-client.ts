import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KeeperMessage, KeeperRequest, Service } from './keeper-protocol.ts';
import { stopProcess } from './processes.ts';

const KEEPER = fileURLToPath(new URL('./keeper.ts', import.meta.url));

/** A server that we started has ended by itself. */
export class ServerEndedError extends Error {
  override name = 'ServerEndedError';
}

export interface Keeper {
  pid: number;
  /** Starts a service and returns its process id. */
  start(service: Service): Promise<number>;
  /** Rejects with how and where to look when a service ends by itself. */
  lost: Promise<never>;
  /** Stops the services and the keeper. */
  stop(): Promise<void>;
}

/** Starts a keeper; see keeper.ts. If it is killed, this process stops the services in its stead. */
export function startKeeper(logDirectory: string): Keeper {
  const log = openSync(join(logDirectory, 'keeper.log'), 'a');
  const child = spawn(process.execPath, [KEEPER], { detached: true, stdio: ['ignore', log, log, 'ipc'] });
  const services = new Map<Service['name'], { service: Service; pid: number }>();
  let stopping = false;
  let lose: (error: Error) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => (lose = reject));
  lost.catch(() => undefined);

  child.on('message', (message: KeeperMessage) => {
    if (message.kind !== 'ended') return;
    const logFile = services.get(message.name)?.service.logFile;
    lose(new ServerEndedError(`${message.name} ended by itself with ${message.how}; its log is ${logFile}`));
  });
  const exited = once(child, 'exit').then(async () => {
    if (stopping) return;
    await Promise.all([...services.values()].map(({ service, pid }) => stopProcess(pid, service.name)));
    lose(new Error('the keeper of the local servers was killed; they were stopped'));
  });
  const send = (request: KeeperRequest): void => void child.send(request);

  return {
    pid: child.pid ?? -1,
    lost,
    async start(service) {
      const started = new Promise<number>((resolve) => {
        const listen = (message: KeeperMessage): void => {
          if (message.kind !== 'started' || message.name !== service.name) return;
          child.off('message', listen);
          resolve(message.pid);
        };
        child.on('message', listen);
      });
      send({ kind: 'start', service });
      const pid = await Promise.race([started, lost]);
      services.set(service.name, { service, pid });
      return pid;
    },
    async stop() {
      stopping = true;
      if (child.connected) send({ kind: 'stop' });
      await exited;
    },
  };
}

/**
 * Owns the servers of one machine, in a process group of its own: a terminal's Ctrl-C does not hit the servers
 * before the worker has drained, and when whoever started the keeper dies, for whatever reason, its IPC channel
 * closes and the keeper stops them.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { type KeeperMessage, type KeeperRequest, type Service, signalsOf } from './keeper-protocol.ts';

/** After the first signal of a service and before each harsher one. */
const PATIENCE_MILLISECONDS = 4_000;

const running = new Map<string, { service: Service; process: ChildProcess; exited: Promise<void> }>();
let stopping = false;

const tell = (message: KeeperMessage): void => {
  if (process.connected) process.send?.(message);
};

/** Where util-linux is: the kernel itself then stops a service whose keeper was killed. */
const hasSetpriv =
  process.platform === 'linux' && spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0;

function start(service: Service): void {
  const { name, command, args, user, cwd, logFile } = service;
  const log = openSync(logFile, 'a');
  const guarded = hasSetpriv
    ? ['setpriv', '--pdeathsig', signalsOf(service)[0].slice(3), command]
    : [command];
  const child = spawn(guarded[0], [...guarded.slice(1), ...args], {
    ...user,
    cwd,
    env: { ...process.env, ...service.env },
    stdio: ['ignore', log, log],
  });
  const exited = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      tell({ kind: 'ended', name, how: error.message });
      resolve();
    });
    child.on('exit', (code, signal) => {
      running.delete(name);
      if (!stopping) tell({ kind: 'ended', name, how: signal ?? `code ${code}` });
      resolve();
    });
  });
  running.set(name, { service, process: child, exited });
  tell({ kind: 'started', name, pid: child.pid ?? -1 });
}

async function stopAll(): Promise<void> {
  if (stopping) return;
  stopping = true;
  // Last started, first stopped: Temporal before the database that it may use.
  for (const { service, process: child, exited } of [...running.values()].reverse()) {
    for (const signal of signalsOf(service)) {
      child.kill(signal);
      const ended = await Promise.race([exited.then(() => true), wait(PATIENCE_MILLISECONDS)]);
      if (ended) break;
    }
  }
  process.exit(0);
}

const wait = (milliseconds: number): Promise<false> =>
  new Promise((resolve) => setTimeout(() => resolve(false), milliseconds));

process.on('message', (request: KeeperRequest) => {
  if (request.kind === 'start') start(request.service);
  else void stopAll();
});
for (const event of ['disconnect', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.on(event, () => void stopAll());

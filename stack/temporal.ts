import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { connectTemporal, temporalTarget } from '../temporal/connect.ts';
import type { Service } from './keeper-protocol.ts';

export const NAMESPACE = 'default';
/** The development server forgets closed runs after a day by default; a team looks back further. */
const RETENTION_SECONDS = 90 * 86_400;
const START_MILLISECONDS = 30_000;

/**
 * Partitions of a task queue; the server's default is four, for thousands of tasks a second. A poll that finds nothing
 * in its own one goes on to the others only after a while: with the one slot of numeric work a task waited 1.8 s
 * for it, and a small night took 7 s instead of 3.
 */
const PARTITIONS = ['Read', 'Write'].flatMap((kind) => [
  '--dynamic-config-value',
  `matching.numTaskqueue${kind}Partitions=1`,
]);

export function temporalService(options: {
  command: string;
  stateDirectory: string;
  logDirectory: string;
  port: number;
  uiPort: number;
}): Service {
  return {
    name: 'temporal',
    command: options.command,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'warn'],
      ...['--port', String(options.port), '--ui-port', String(options.uiPort)],
      ...PARTITIONS,
      ...['--db-filename', join(options.stateDirectory, 'temporal.db')],
    ],
    user: null,
    cwd: options.stateDirectory,
    logFile: join(options.logDirectory, 'temporal.log'),
  };
}

/** Waits until the server answers, and lets it keep closed runs. */
export async function awaitTemporal(address: string, lost: Promise<never>): Promise<void> {
  const deadline = Date.now() + START_MILLISECONDS;
  const connection = await Promise.race([firstConnection(address, deadline), lost]);
  try {
    const extend = () =>
      connection.workflowService.updateNamespace({
        namespace: NAMESPACE,
        config: { workflowExecutionRetentionTtl: { seconds: RETENTION_SECONDS as never } },
      });
    // The server answers before its namespace exists.
    for (;;) {
      try {
        await extend();
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  } finally {
    await connection.close();
  }
}

async function firstConnection(address: string, deadline: number): Promise<Connection> {
  for (;;) {
    try {
      return await Connection.connect({ address, connectTimeout: '2s' });
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Fails fast where a named server does not answer; with the TLS and the key that the environment names too. */
export async function checkTemporal(address: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { connectionOptions, namespace } = temporalTarget(env);
  try {
    const target = { connectionOptions: { ...connectionOptions, address }, namespace };
    await (await connectTemporal(target)).close();
  } catch (cause) {
    throw new Error(`TEMPORAL_ADDRESS names ${address}, where no Temporal server answers`, { cause });
  }
}

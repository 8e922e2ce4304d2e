/**
 * Whether a worker on this host polls for workflow tasks: exit code 0, else 1 and one line. It asks the server, so that
 * a process that hangs or has lost its connection is not healthy. The training queue is not asked about: its worker
 * does not poll while its slots are taken.
 */

import { hostname } from 'node:os';
import { loadDotEnv } from '../config/dot-env.ts';
import { connectTemporal, temporalTarget } from '../temporal/connect.ts';
import { type Poller, isHere, listPollers } from '../temporal/pollers.ts';

async function pollersHere(): Promise<Poller[]> {
  const target = temporalTarget();
  const temporal = await connectTemporal(target);
  try {
    return (await listPollers(temporal, target.namespace)).filter(isHere);
  } finally {
    await temporal.close();
  }
}

loadDotEnv();
try {
  const pollers = await pollersHere();
  if (pollers.some(({ alive }) => alive)) process.exit(0);
  const last = pollers.map(({ lastPoll }) => lastPoll.toISOString()).sort();
  console.error(
    last.length === 0
      ? `no worker on ${hostname()} polls`
      : `the worker on ${hostname()} has last polled at ${last[last.length - 1]}`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
}
process.exit(1);

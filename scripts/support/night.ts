import { ServiceError } from '@temporalio/client';
import { describeDatabase } from '../../database/connect.ts';
import type { Servers } from '../../stack/index.ts';
import type { TemporalClient } from '../../temporal/connect.ts';
import type { NightlyRequest } from '../../workflows/contracts.ts';
import { readDatabaseId } from './database.ts';
import { followNight } from './follow.ts';
import { type FoundNight, runUrl, showNight } from './show-night.ts';
import { type StartedNight, outcomeOf, startNight } from './start-night.ts';

export interface NightOptions {
  servers: Servers & { databaseUrl: string };
  temporal: TemporalClient;
  request: NightlyRequest & { asOf: string };
  json: boolean;
  wait: boolean;
  /** Rejects when a server that the night needs is gone. */
  lost?: Promise<never>;
  /** Whether the servers end with the command. */
  stackEnds?: boolean;
}

/** Starts a night, shows it while it runs, and prints what it came to; exit code 0 only on success. */
export async function runNight(options: NightOptions): Promise<void> {
  const { servers, temporal, request } = options;
  const database = await readDatabaseId(servers.databaseUrl);
  const handle = await startNight(temporal.client, { ...request, database });
  await seeNight(handle, { ...options, known: { as_of: request.asOf } });
}

/**
 * Shows a night that was started, and prints what it came to; exit code 0 only on success.
 * @param options with what is known of it before it ends
 */
export async function seeNight(
  handle: StartedNight,
  options: Omit<NightOptions, 'temporal' | 'request'> & { known: object },
): Promise<void> {
  const { servers, json, wait, lost, known } = options;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const ui_url = runUrl(servers, handle.workflowId, handle.firstExecutionRunId);
  if (!wait) {
    if (json) print({ workflow_id: handle.workflowId, ...known, status: 'running', ui_url });
    else say(`started ${handle.workflowId}; npm run pipeline -- status tells how it goes`);
    return;
  }
  if (ui_url !== null) say(`in the Temporal UI: ${ui_url}`);
  const outcome = await outcomeOf(handle, followNight(handle, { stream: process.stderr, lost })).catch(
    (error: unknown) => {
      if (!(error instanceof ServiceError)) throw error;
      throw new Error(
        `the Temporal server at ${servers.temporalAddress ?? ''} does not answer any more; the night goes on when it is back: npm run pipeline -- status`,
        { cause: error },
      );
    },
  );
  const found: FoundNight = { ...outcome, database_url: describeDatabase(servers.databaseUrl), ui_url };
  if (json) print(found);
  else await showNight(found, servers.databaseUrl, options.stackEnds ?? false);
  if (outcome.status !== 'success') process.exitCode = 1;
}

/** One JSON value on standard output. */
export function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

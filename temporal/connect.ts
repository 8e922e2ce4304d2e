import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';

export interface TemporalTarget {
  connectionOptions: NativeConnectionOptions;
  namespace: string;
}

/**
 * Where Temporal is, from the SDK's standard variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
 * `TEMPORAL_API_KEY`, `TEMPORAL_TLS_…`) and its configuration file.
 */
export function temporalTarget(env: NodeJS.ProcessEnv = process.env): TemporalTarget {
  const { connectionOptions, namespace } = loadClientConnectConfig({
    overrideEnvVars: Object.fromEntries(
      Object.entries(env).filter(
        (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
      ),
    ),
  });
  return { connectionOptions, namespace: namespace ?? 'default' };
}

export interface TemporalClient {
  client: Client;
  connection: Connection;
  close(): Promise<void>;
}

/**
 * Connects a client.
 * @throws within five seconds, with a line that names the address, where nothing answers
 */
export async function connectTemporal(target: TemporalTarget): Promise<TemporalClient> {
  const { connectionOptions, namespace } = target;
  try {
    const connection = await Connection.connect({
      address: connectionOptions.address,
      tls: connectionOptions.tls,
      apiKey: connectionOptions.apiKey,
      metadata: connectionOptions.metadata,
      connectTimeout: '5s',
    });
    return { connection, client: new Client({ connection, namespace }), close: () => connection.close() };
  } catch (error) {
    throw new Error(
      `no Temporal server answers at ${connectionOptions.address ?? 'localhost:7233'} (TEMPORAL_ADDRESS); start one with npm run stack`,
      { cause: error },
    );
  }
}

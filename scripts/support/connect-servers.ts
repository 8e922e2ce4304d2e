import { type Servers, findServers } from '../../stack/index.ts';
import { type TemporalClient, connectTemporal, temporalTarget } from '../../temporal/connect.ts';

export interface ConnectedServers {
  servers: Servers & { databaseUrl: string };
  temporal: TemporalClient;
}

/**
 * The servers that run: named by the environment, or the local stack's. Starts nothing.
 * @throws with what to do where there are none
 */
export async function connectServers(): Promise<ConnectedServers> {
  const servers = findServers();
  const { databaseUrl, temporalAddress, temporalNamespace } = servers;
  if (databaseUrl === null || temporalAddress === null) {
    throw new Error(
      'no servers: start them with npm run stack, or name them in DATABASE_URL and TEMPORAL_ADDRESS',
    );
  }
  const temporal = await connectTemporal(
    temporalTarget({
      ...process.env,
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: temporalNamespace,
    }),
  );
  return { servers: { ...servers, databaseUrl }, temporal };
}

import type { TestProject } from 'vitest/node';
import { startStack } from '../../stack/index.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A superuser's URL to the server that test databases are made on. */
    databaseUrl: string;
    temporalAddress: string;
  }
}

/**
 * One PostgreSQL and one Temporal server for all tests, in a folder of their own. `TEST_DATABASE_URL` and
 * `TEST_TEMPORAL_ADDRESS` name running ones instead.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = await startStack({
    ephemeral: true,
    env: {
      ...process.env,
      DATABASE_URL: process.env.TEST_DATABASE_URL,
      TEMPORAL_ADDRESS: process.env.TEST_TEMPORAL_ADDRESS,
    },
    log: (line) => console.error(line),
  });
  if (stack.databaseUrl === null || stack.temporalAddress === null)
    throw new Error('the test stack is incomplete');
  project.provide('databaseUrl', stack.databaseUrl);
  project.provide('temporalAddress', stack.temporalAddress);
  return () => stack.stop();
}

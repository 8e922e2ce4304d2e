import type { Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { registerSearchAttributes } from './search-attributes.ts';

/** A server whose operator service answers with a gRPC status, as a managed one does. */
const refusing = (code: number) =>
  ({
    operatorService: { listSearchAttributes: () => Promise.reject(Object.assign(new Error('no'), { code })) },
  }) as unknown as Connection;

test('a server that leaves search attributes to its administrator does not keep a worker from starting', async () => {
  expect(await registerSearchAttributes(refusing(7), 'default')).toContain('NightjarOutcome KEYWORD');
  expect(await registerSearchAttributes(refusing(12), 'default')).not.toBeNull();
  // Unavailable is no refusal: whoever starts the worker again should see it.
  await expect(registerSearchAttributes(refusing(14), 'default')).rejects.toThrow('no');
});

/**
 * Waits until all have ended, also where one fails: what they share is in nobody's hands then.
 * @throws what the first of them, by place, has failed with
 */
export async function allDone<Results extends unknown[]>(
  running: readonly [...{ [Place in keyof Results]: Promise<Results[Place]> }],
): Promise<Results> {
  const ended = await Promise.allSettled(running as readonly Promise<unknown>[]);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  return ended.map((one) => (one as PromiseFulfilledResult<unknown>).value) as Results;
}

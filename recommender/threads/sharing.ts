/** How threads share one loop: chunks by a counter, phases by a barrier. */

import type { ThreadContext } from './protocol.ts';

/** Slots of the control memory. */
const CHUNK = 0;
const ARRIVED = 1;
const PHASE = 2;

/** Takes the next chunk of the present phase, or -1 when there is none left. */
export function nextChunk({ control }: ThreadContext, chunks: number): number {
  const chunk = Atomics.add(control, CHUNK, 1);
  return chunk < chunks ? chunk : -1;
}

/** Waits until all threads have arrived; the last one resets the chunk counter and lets the others go. */
export function barrier({ control, threads }: ThreadContext): void {
  const phase = Atomics.load(control, PHASE);
  if (Atomics.add(control, ARRIVED, 1) + 1 === threads) {
    Atomics.store(control, ARRIVED, 0);
    Atomics.store(control, CHUNK, 0);
    Atomics.add(control, PHASE, 1);
    Atomics.notify(control, PHASE);
    return;
  }
  while (Atomics.load(control, PHASE) === phase) Atomics.wait(control, PHASE, phase);
}

/**
 * Cuts rows into chunks of about equal work. Boundaries depend on the rows alone, not on the threads.
 * @param starts row starts of a sparse matrix
 */
export function balancedChunks(starts: Uint32Array, chunks: number): Uint32Array {
  const rows = starts.length - 1;
  const total = starts[rows];
  const bounds = new Uint32Array(chunks + 1);
  let row = 0;
  for (let chunk = 1; chunk < chunks; chunk++) {
    const target = (total * chunk) / chunks;
    while (row < rows && starts[row] < target) row++;
    bounds[chunk] = row;
  }
  bounds[chunks] = rows;
  return bounds;
}

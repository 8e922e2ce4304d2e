/** How threads share one loop: chunks by a counter, phases by a barrier. */

import type { ThreadContext } from './protocol.ts';

/** Slots of the control memory. */
const CHUNK = 0;
const ARRIVED = 1;
const PHASE = 2;
const FLAG = 3;

/** Fine enough to balance threads at the end of a side, and to stop within one; coarse enough to cost nothing. */
export const CHUNKS = 4096;

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

/** Sets the flag that all threads read after the next barrier, or reads it. */
export function shareFlag({ control }: ThreadContext, value?: boolean): boolean {
  if (value !== undefined) Atomics.store(control, FLAG, value ? 1 : 0);
  return Atomics.load(control, FLAG) === 1;
}

/**
 * Cuts rows into `CHUNKS` chunks of about equal work, each from a multiple of four rows on, which is what the kernel
 * solves at a time. Boundaries depend on the rows alone, not on the threads.
 * @param starts row starts of a sparse matrix
 * @param rowCost what a row costs beside its ratings, in ratings
 */
export function balancedChunks(starts: Uint32Array, rowCost: number): Uint32Array {
  const rows = starts.length - 1;
  const total = starts[rows] + rows * rowCost;
  const bounds = new Uint32Array(CHUNKS + 1);
  let row = 0;
  for (let chunk = 1; chunk < CHUNKS; chunk++) {
    const target = (total * chunk) / CHUNKS;
    while (row < rows && starts[row] + row * rowCost < target) row += 4;
    bounds[chunk] = Math.min(row, rows);
  }
  bounds[CHUNKS] = rows;
  return bounds;
}

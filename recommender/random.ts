/** Seeded integer random numbers, the same on every machine. */

/**
 * sfc32, 32-bit small fast counting generator of Chris Doty-Humphrey's PractRand.
 * @returns a function that gives the next unsigned 32-bit integer
 */
export function createRandom(seed: number): () => number {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    c |= 0;
    return result >>> 0;
  };
  // The first outputs still show the seed.
  for (let round = 0; round < 16; round++) next();
  return next;
}

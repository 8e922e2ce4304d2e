/** A process of its own, so that its memory is not the engine's: it takes the matrix from standard input. */

import { type PlainTask, type PlainTimes } from './measure-plain.ts';
import type { SparseRows } from '../recommender/index.ts';
import { expandRows, solvePlainSide } from './plain-als.ts';

const { rank, regularization, step, scale, sides } = JSON.parse(process.argv[2]) as PlainTask;
const chunks = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array<ArrayBuffer>, undefined>;
let rest = new Uint8Array();

async function fill<Values extends SparseRows['columns' | 'values']>(values: Values): Promise<Values> {
  const bytes = new Uint8Array(values.buffer);
  for (let at = 0; at < bytes.length;) {
    if (rest.length === 0) {
      const chunk = await chunks.next();
      if (chunk.done === true) throw new Error('the matrix ends too early');
      rest = chunk.value;
    }
    const part = rest.subarray(0, bytes.length - at);
    bytes.set(part, at);
    at += part.length;
    rest = rest.subarray(part.length);
  }
  return values;
}

const userFactors = new Float64Array(sides[0].rows * rank);
// What the factors are changes nothing in the time that it takes.
const itemFactors = new Float64Array(sides[1].rows * rank).map((_, at) => 0.5 + ((at * 7) % 11) / 11);
const times: PlainTimes = { seconds: [] };
for (const [at, { rows, ratings, columnBytes, valueBytes }] of sides.entries()) {
  const starts = await fill(new Uint32Array(rows + 1));
  const columns = await fill(columnBytes === 2 ? new Uint16Array(ratings) : new Uint32Array(ratings));
  const values = await fill(valueBytes === 1 ? new Uint8Array(ratings) : new Float32Array(ratings));
  const side = expandRows({ starts, columns, values }, scale === null ? null : Float32Array.from(scale));
  const began = performance.now();
  if (at === 0) solvePlainSide(side, itemFactors, userFactors, { rank, regularization, step });
  else solvePlainSide(side, userFactors, itemFactors, { rank, regularization, step });
  times.seconds.push((performance.now() - began) / 1000);
}
process.stdout.write(JSON.stringify(times));

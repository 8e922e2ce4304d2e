import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { SparseRows } from '../recommender/index.ts';
import type { SideMatrix } from './plain-als.ts';
import { multiplyAdds } from './work.ts';

export interface PlainTask {
  rank: number;
  regularization: number;
  /** Every so many rows are solved. */
  step: number;
  scale: number[] | null;
  /** Users first; their `starts`, `columns` and `values` follow on standard input. */
  sides: { rows: number; ratings: number; columnBytes: number; valueBytes: number }[];
}

/** What the process answers: seconds of each side. */
export interface PlainTimes {
  seconds: number[];
}

export interface PlainMeasurement {
  /** Of a whole iteration, both sides. */
  seconds: number;
  /** Every so many rows were solved, and the time scaled up by the arithmetic left out; 1: all of them. */
  step: number;
}

/** Multiply-adds that are timed at most, about a minute: a whole iteration of 25 million ratings up to rank 40. */
const MOST = 5e10;
const PIECE = 1 << 20;

/** Times an iteration of `plain-als.ts` over the same matrix in another process. */
export async function measurePlain(
  { byUser, byItem, scale }: SideMatrix,
  { rank, regularization }: { rank: number; regularization: number },
): Promise<PlainMeasurement> {
  const sides = [byUser, byItem];
  const whole = sides.map(({ starts }) => multiplyAdds(starts, rank));
  const step = Math.ceil((whole[0] + whole[1]) / MOST);
  const task: PlainTask = {
    rank,
    regularization,
    step,
    scale: scale && Array.from(scale),
    sides: sides.map(({ starts, columns, values }) => ({
      rows: starts.length - 1,
      ratings: columns.length,
      columnBytes: columns.BYTES_PER_ELEMENT,
      valueBytes: values.BYTES_PER_ELEMENT,
    })),
  };
  const script = fileURLToPath(new URL('./plain-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [answer] = await Promise.all([
    text(child.stdout),
    pipeline(Readable.from(pieces(sides)), child.stdin),
  ]);
  if (answer === '') throw new Error('the process of the plain implementation ended without an answer');
  const { seconds } = JSON.parse(answer) as PlainTimes;
  const scaled = sides.map(
    ({ starts }, side) => (seconds[side] * whole[side]) / multiplyAdds(starts, rank, step),
  );
  return { seconds: scaled[0] + scaled[1], step };
}

/** The arrays as bytes, copied a piece at a time: streams do not take shared memory. */
function* pieces(sides: SparseRows[]): Generator<Buffer> {
  for (const { starts, columns, values } of sides) {
    for (const array of [starts, columns, values]) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let at = 0; at < bytes.length; at += PIECE) yield Buffer.from(bytes.subarray(at, at + PIECE));
    }
  }
}

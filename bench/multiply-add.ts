/** What the machine itself can do: f32 multiplications and additions as WebAssembly SIMD has them. */

import { runThread } from './threads.ts';

/** More than the units have in flight, and with two operands as many as V8 has vector registers, but one. */
const ACCUMULATORS = 12;
/** Rounds of all accumulators for a turn of the loop, so that the loop itself costs nothing. */
const ROUNDS = 4;
export const LANES = ACCUMULATORS * 4;
/** Turns for a call: some 0.2 ms, because only a next call gets the code of the optimising compiler. */
const TURNS = 10_000;
const WARM_UP_MS = 300;
const MEASURED_MS = 600;

/** TypeScript has these types in its library for browsers only. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
    Instance: new (module: object) => { exports: Record<string, unknown> };
  };
};

/** `run(turns, factor, addend)`: every lane is replaced by lane × factor + addend, `roundsOf(turns)` times. */
type Run = (turns: number, factor: number, addend: number) => number;

/** Rounds that so many turns make. */
export function roundsOf(turns: number): number {
  return turns * ROUNDS;
}

/**
 * The module's bytes. It exports `run`, whose lanes start at the number of their accumulator, 0 to 11, and which
 * returns their sum. WebAssembly Core Specification 2.0, chapter 5, "Binary Format".
 */
export function encodeMultiplyAdd(): Uint8Array<ArrayBuffer> {
  const [I32, F32, V128] = [0x7f, 0x7d, 0x7b];
  const [TURNS_LEFT, FACTOR, ADDEND, FACTORS, ADDENDS, FIRST] = [0, 1, 2, 3, 4, 5];
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const i32 = (value: number): number[] => [0x41, value];
  const splat = [0xfd, 0x13];
  const add = [0xfd, 0xe4, 0x01];
  const multiply = [0xfd, 0xe6, 0x01];
  const lane = (index: number): number[] => [0xfd, 0x1f, index];
  const accumulators = Array.from({ length: ACCUMULATORS }, (_, index) => FIRST + index);
  const round = accumulators.flatMap((one) => [
    ...[...get(one), ...get(FACTORS), ...multiply, ...get(ADDENDS), ...add, ...set(one)],
  ]);
  const body = [
    // One declaration of locals: factors, addends and accumulators.
    ...[1, 2 + ACCUMULATORS, V128],
    ...[...get(FACTOR), ...splat, ...set(FACTORS), ...get(ADDEND), ...splat, ...set(ADDENDS)],
    // f32.convert_i32_s gives each accumulator its start.
    ...accumulators.flatMap((one, index) => [...i32(index), 0xb2, ...splat, ...set(one)]),
    ...[0x03, 0x40, ...Array.from({ length: ROUNDS }, () => round).flat()],
    // turns - 1, tee, branch back while it is not zero, end of the loop.
    ...[...get(TURNS_LEFT), ...i32(1), 0x6b, 0x22, TURNS_LEFT, 0x0d, 0, 0x0b],
    ...accumulators.flatMap((one, index) => (index === 0 ? get(one) : [...get(one), ...add])),
    ...[...set(FIRST), ...get(FIRST), ...lane(0)],
    ...[1, 2, 3].flatMap((index) => [...get(FIRST), ...lane(index), 0x92]),
    0x0b,
  ];
  const section = (id: number, content: number[]): number[] => [id, ...size(content.length), ...content];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 3, I32, F32, F32, 1, F32]),
    ...section(3, [1, 0]),
    ...section(7, [1, 3, ...Buffer.from('run'), 0x00, 0]),
    ...section(10, [1, ...size(body.length), ...body]),
  ]);
}

/** Unsigned LEB128 of up to fourteen bits: enough for the sizes here. */
function size(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7];
}

export function createMultiplyAdd(): Run {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(encodeMultiplyAdd()));
  return instance.exports.run as Run;
}

/** Single-precision operations a second, a multiplication and an addition each counted, on all threads at once. */
export async function measureMultiplyAdd(threads: number): Promise<number> {
  const arrived = new SharedArrayBuffer(4);
  const rates = await Promise.all(
    Array.from({ length: threads }, () => runThread<number>('multiply-add', { arrived, threads })),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

/** A thread's share of `measureMultiplyAdd`: it begins when all have arrived. */
export function multiplyAddRate({
  arrived,
  threads,
}: {
  arrived: SharedArrayBuffer;
  threads: number;
}): number {
  const run = createMultiplyAdd();
  const callsWithin = (milliseconds: number): [calls: number, seconds: number] => {
    const began = performance.now();
    let calls = 0;
    while (performance.now() - began < milliseconds) {
      run(TURNS, 0.5, 1);
      calls++;
    }
    return [calls, (performance.now() - began) / 1000];
  };
  callsWithin(WARM_UP_MS);
  const counter = new Int32Array(arrived);
  Atomics.add(counter, 0, 1);
  while (Atomics.load(counter, 0) < threads);
  const [calls, seconds] = callsWithin(MEASURED_MS);
  return (calls * roundsOf(TURNS) * LANES * 2) / seconds;
}

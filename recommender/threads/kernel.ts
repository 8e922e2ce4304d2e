/** The compiled kernel: one module for all threads, an instance in each. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

/** Functions of `recommender/kernel/index.ts`; pointers are byte offsets into the memory. */
export interface Kernel {
  solveRows(task: number, from: number, to: number, scratch: number): void;
  solveBand(task: number, from: number, to: number, scratch: number): void;
  solverBytes(width: number, stride: number, block: number, band: number): number;
  gramOfRows(
    factors: number,
    from: number,
    to: number,
    stride: number,
    block: number,
    gram: number,
    scratch: number,
  ): void;
  rankQueries(task: number, from: number, to: number, scratch: number): void;
  rankBytes(count: number, dimensions: number): number;
}

/**
 * V8 then computes what the kernel stores in pairs with vectors of 256 bits where the processor has them: the same
 * operations on the same numbers, so the same bits. An experiment of V8's, which Node 24 is built with; see decision 13.
 */
const { v8_enable_wasm_simd256_revec: hasPairing } = process.config.variables as Record<string, unknown>;
if (hasPairing === 1) setFlagsFromString('--experimental-wasm-revectorize');

const FILE = fileURLToPath(new URL('../../build/kernel.wasm', import.meta.url));
let compiled: WebAssembly.Module | undefined;

/**
 * Compiles the kernel, once a process.
 * @throws where it has not been built
 */
export function kernelModule(): WebAssembly.Module {
  if (compiled !== undefined) return compiled;
  let bytes: Buffer;
  try {
    bytes = readFileSync(FILE);
  } catch (cause) {
    throw new Error(`${FILE} is missing: npm run kernel builds it, as every install does`, { cause });
  }
  return (compiled = new WebAssembly.Module(bytes));
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernel;
}

/** Writes a description that the kernel reads: whole numbers and floats of four bytes each, one after the other. */
export function writeFields(
  memory: WebAssembly.Memory,
  at: number,
  fields: (number | { float: number })[],
): void {
  const view = new DataView(memory.buffer, at, fields.length * 4);
  fields.forEach((field, place) => {
    if (typeof field === 'number') view.setUint32(place * 4, field, true);
    else view.setFloat32(place * 4, field.float, true);
  });
}

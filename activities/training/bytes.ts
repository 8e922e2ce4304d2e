/** Numbers as a `bytea` column holds them: 32 bits each, in the machine's order. */

export function toBytes({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

export function toFloats(bytes: Buffer): Float32Array {
  return new Float32Array(aligned(bytes));
}

export function toIntegers(bytes: Buffer): Int32Array {
  return new Int32Array(aligned(bytes));
}

/** A copy, because a Buffer's bytes need not begin where a number may. */
function aligned(bytes: Buffer): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

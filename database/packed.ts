/** A column of many rows as one value of bytes: of 200,000 numbers neither side makes a text or an object each. */

import { type RawBuilder, sql } from 'kysely';

/** By the functions that send the binary format of a type: its bytes, the most significant one first. */
const SENT = { integer: 'int4send', 'double precision': 'float8send' } as const;

/** The values of a group in an order, to be unpacked by what follows; nulls are left out, null where there is nothing else. */
export function packed(
  value: RawBuilder<unknown>,
  type: keyof typeof SENT,
  order: RawBuilder<unknown>,
): RawBuilder<Buffer | null> {
  const sent = sql`${sql.raw(SENT[type])}((${value})::${sql.raw(type)})`;
  return sql`string_agg(${sent}, ''::bytea order by ${order})`;
}

export function unpackIntegers(bytes: Buffer | null): Int32Array {
  return new Int32Array(ownCopy(bytes).swap32().buffer);
}

export function unpackDoubles(bytes: Buffer | null): Float64Array {
  return new Float64Array(ownCopy(bytes).swap64().buffer);
}

/** Of memory of its own, which an array of numbers can begin at; every processor that Node runs on here has them swapped. */
function ownCopy(bytes: Buffer | null): Buffer<ArrayBuffer> {
  return Buffer.from(new Uint8Array(bytes ?? []).buffer);
}

import { crc32 } from 'node:zlib';
import type { Model, RatingTriples } from '../../recommender/index.ts';

function checksum(...arrays: (Int32Array | Float32Array)[]): string {
  const sum = arrays.reduce(
    (crc, { buffer, byteOffset, byteLength }) => crc32(new Uint8Array(buffer, byteOffset, byteLength), crc),
    0,
  );
  return sum.toString(16).padStart(8, '0');
}

/** CRC-32 over the rows in their order, as 8 hexadecimal digits. */
export function checksumTriples({ users, items, ratings }: RatingTriples): string {
  return checksum(users, items, ratings);
}

/** CRC-32 over ids and factors: equal for equal data, configuration and seed. */
export function checksumModel({ userIds, itemIds, userFactors, itemFactors }: Model): string {
  return checksum(userIds, itemIds, userFactors, itemFactors);
}

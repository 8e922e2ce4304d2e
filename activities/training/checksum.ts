import { crc32 } from 'node:zlib';
import type { Model } from '../../recommender/index.ts';

/** CRC-32 over ids and factors, as 8 hexadecimal digits: equal for equal data, configuration and seed. */
export function checksumModel({ userIds, itemIds, userFactors, itemFactors }: Model): string {
  const sum = [userIds, itemIds, userFactors, itemFactors].reduce(
    (crc, { buffer, byteOffset, byteLength }) => crc32(new Uint8Array(buffer, byteOffset, byteLength), crc),
    0,
  );
  return sum.toString(16).padStart(8, '0');
}

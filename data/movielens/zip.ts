/** Files of a zip, streamed out of it where they lie. */

import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { openPromise } from 'yauzl';
import { UsageError } from '../../config/settings.ts';

/** Where a file stands in a zip, and what it is to be when it comes out. */
export interface ZipEntry {
  name: string;
  start: number;
  storedBytes: number;
  /** Uncompressed. */
  bytes: number;
  checksum: number;
  isDeflated: boolean;
}

const [STORED, DEFLATED] = [0, 8];

/**
 * The files of a zip that can be read; one that is encrypted, or compressed in another way, is left out.
 * @throws where it is no zip
 */
export async function listZip(path: string): Promise<ZipEntry[]> {
  const zip = await openPromise(path, { autoClose: false });
  try {
    const files: ZipEntry[] = [];
    for await (const entry of zip.eachEntry()) {
      const { fileName: name, compressionMethod: method } = entry;
      if (name.endsWith('/') || entry.isEncrypted() || (method !== STORED && method !== DEFLATED)) continue;
      const { fileDataStart: start } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      files.push({
        name,
        start,
        storedBytes: entry.compressedSize,
        bytes: entry.uncompressedSize,
        checksum: entry.crc32,
        isDeflated: method === DEFLATED,
      });
    }
    return files;
  } finally {
    zip.close();
  }
}

/**
 * Reads a file out of a zip. Not by the library's own streams: to give one up, as an error elsewhere does, may end the
 * process (yauzl 3.4, a read that waits for another one finds its stream without a file).
 * @throws UsageError where what comes out is not what was put in
 */
export async function* readZipEntry(
  path: string,
  entry: ZipEntry,
  chunkSize: number,
): AsyncGenerator<Buffer> {
  const { start, storedBytes } = entry;
  let bytes = 0;
  let checksum = 0;
  if (storedBytes > 0) {
    const stored = createReadStream(path, { start, end: start + storedBytes - 1, highWaterMark: chunkSize });
    // By chunks of that size too: the default of 16 KiB would take longer than the parsing.
    const chunks = entry.isDeflated
      ? pipeline(stored, createInflateRaw({ chunkSize }), () => undefined)
      : stored;
    try {
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        checksum = crc32(chunk, checksum);
        yield chunk;
      }
    } catch (error) {
      throw new UsageError(
        `${path}: ${entry.name}: ${error instanceof Error ? error.message : String(error)}; the zip is damaged`,
      );
    }
  }
  if (bytes !== entry.bytes || checksum !== entry.checksum)
    throw new UsageError(`${path}: ${entry.name}: its checksum is another one; the zip is damaged`);
}

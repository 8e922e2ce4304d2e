/** Memory as a server has it that has run for a while. */

import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const PIECE_BYTES = 1 << 23;
/** Left free: below its watermarks the kernel begins to look for pages to give up. */
const MARGIN_BYTES = 512 * 2 ** 20;

/** Bytes of memory that hold nothing at all, not even a page of the cache; null where the system does not say. */
export async function freeMemory(): Promise<number | null> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kilobytes = /^MemFree:\s+(\d+) kB$/m.exec(text)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/**
 * Fills free memory with clean pages of the system's cache, which anybody who needs memory gets at once. What is free a virtual
 * machine gives back to its host, and every gigabyte of it takes processor time of seconds to come again: without this a first
 * night is measured by what happened on the machine before it. Reads a hole, so that no disk is touched.
 * @param directory of a file system that has holes; no name stays in it
 * @param bytes as many as are free but for a margin, by default
 * @returns what holds the pages until it is closed; null where there is nothing to fill
 */
export async function fillPageCache(directory: string, bytes?: number): Promise<FileHandle | null> {
  const size = bytes ?? ((await freeMemory()) ?? 0) - MARGIN_BYTES;
  if (size <= 0) return null;
  const path = join(directory, `page-cache-${process.pid}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    // Whatever becomes of this process, its pages go with it.
    await rm(path);
    await file.truncate(size);
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let at = 0; at < size; at += PIECE_BYTES) await file.read(piece, 0, PIECE_BYTES, at);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

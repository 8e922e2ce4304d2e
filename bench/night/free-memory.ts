/** Memory as a server has it that has run for a while. */

import { open, readFile, rm } from 'node:fs/promises';
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
 * Uses free memory once, and gives it back. What is free a virtual machine hands back to its host after a while, and every gigabyte
 * of it takes processor time of seconds to come again: without this a first night is measured by what happened on the machine
 * before it. Reads a hole into the system's cache, so that no disk is touched.
 * @param directory of a file system that has holes; nothing stays in it
 * @param bytes as many as are free but for a margin, by default
 * @returns how many
 */
export async function touchFreeMemory(directory: string, bytes?: number): Promise<number> {
  const size = bytes ?? ((await freeMemory()) ?? 0) - MARGIN_BYTES;
  if (size <= 0) return 0;
  const path = join(directory, `free-memory-${process.pid}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    // Whatever becomes of this process, its pages go with it.
    await rm(path);
    await file.truncate(size);
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    let touched = 0;
    for (let read = -1; read !== 0; touched += read)
      ({ bytesRead: read } = await file.read(piece, 0, PIECE_BYTES, touched));
    return touched;
  } finally {
    await file.close();
  }
}

/** COPY to us, of many short rows. */

import type { Readable } from 'node:stream';
import { to as copyTo } from 'pg-copy-streams';

/** What of pg-copy-streams is used here but not declared; `database/copy.test.ts` fails where it changes. */
interface CopyOut extends Readable {
  /** Of the protocol's messages: what is awaited, the bytes of it that are there, and how many content is to come. */
  _state: number;
  _buffer: { size: number };
  _unreadMessageContentLength: number;
  /** Takes what has come from the server. @returns whether the reader wants more */
  _parse(chunk: Buffer): boolean;
}

const CODE = 0;
const LENGTH = 1;
const LENGTH_BYTES = 4;
const COPY_DATA = 'd'.charCodeAt(0);
const HEADER_BYTES = 1 + LENGTH_BYTES;
/** Longer contents are copied by the runtime's own function, whose call takes as long as so many bytes in a loop. */
const SHORT = 64;

/**
 * A COPY by pg-copy-streams that takes the contents of whole messages out of what has come in one loop. PostgreSQL sends a message
 * a row, and the library's three calls and a buffer for each take longer than the row's way here. What is not a
 * whole message of data is left to the library.
 */
export function copyOfServer(statement: string): Readable & ReturnType<typeof copyTo> {
  const query = copyTo(statement);
  const inner = query as unknown as CopyOut;
  const parseEach = inner._parse.bind(inner);
  inner._parse = (chunk) => {
    let at = 0;
    let wantsMore = true;
    // The message that the last chunk ended in.
    while (at < chunk.length && inner._state !== CODE) {
      const missing =
        inner._state === LENGTH ? LENGTH_BYTES - inner._buffer.size : inner._unreadMessageContentLength;
      const end = Math.min(chunk.length, at + missing);
      wantsMore = parseEach(chunk.subarray(at, end)) && wantsMore;
      at = end;
    }
    // Contents move up in the chunk itself, which is nobody else's, behind what the library may have handed on of it.
    const first = at;
    let filled = at;
    while (at + HEADER_BYTES <= chunk.length && chunk[at] === COPY_DATA) {
      const end = at + 1 + chunk.readUInt32BE(at + 1);
      if (end > chunk.length) break;
      const from = at + HEADER_BYTES;
      if (end - from > SHORT) {
        chunk.copyWithin(filled, from, end);
        filled += end - from;
      } else for (let byte = from; byte < end; byte++) chunk[filled++] = chunk[byte];
      at = end;
    }
    if (filled > first) wantsMore = inner.push(chunk.subarray(first, filled)) && wantsMore;
    return at < chunk.length ? parseEach(chunk.subarray(at)) && wantsMore : wantsMore;
  };
  return query;
}

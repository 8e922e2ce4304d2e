/** Text files by whole lines, as bytes: strings of 25 million lines would take most of a minute. */

export const [NEWLINE, RETURN] = Buffer.from('\n\r');
/** No line of a file that is ours is longer. */
const LONGEST = 1 << 16;

/**
 * Blocks of whole lines; the last line has an end even where the file leaves it out. A line that is longer than any of
 * ours is given in pieces, which whoever parses it will refuse.
 */
export async function* blocksOfLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = block.lastIndexOf(NEWLINE) + 1 || (block.length > LONGEST ? block.length : 0);
    if (whole > 0) yield block.subarray(0, whole);
    rest = block.subarray(whole);
  }
  if (rest.length > 0) yield Buffer.concat([rest, Buffer.of(NEWLINE)]);
}

/** The lines one by one, without their ends. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const block of blocksOfLines(chunks)) {
    for (let at = 0; at < block.length;) {
      const line = lineAt(block, at);
      yield line;
      at = block.indexOf(NEWLINE, at + line.length) + 1 || block.length;
    }
  }
}

/** The line that begins at `from`, without its end. */
export function lineAt(block: Buffer, from: number): Buffer {
  const newline = block.indexOf(NEWLINE, from);
  const end = newline === -1 ? block.length : newline;
  return block.subarray(from, end > from && block[end - 1] === RETURN ? end - 1 : end);
}

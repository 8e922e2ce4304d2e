/** Columns in typed arrays to PostgreSQL's binary COPY format, without a value of its own for any field. */

import { encodeHeader, encodeTrailer } from './copy-binary.ts';

/** A column as PostgreSQL has it, and where its values stand. */
export type WireColumn =
  | { type: 'int2' | 'int4'; values: Int32Array }
  | { type: 'float4'; values: Float32Array }
  | { type: 'float8'; values: Float64Array }
  /** Whole seconds since 1970, at most `LAST_SECOND`. */
  | { type: 'timestamp'; values: Float64Array };

const BYTES = { int2: 2, int4: 4, float4: 4, float8: 8, timestamp: 8 } as const;
/** From 1970 to 2000, where PostgreSQL begins to count. */
const EPOCH_SECONDS = 946_684_800;
/** In the year 2255: so many microseconds are the last that a double holds exactly. */
export const LAST_SECOND = 9_000_000_000;

/**
 * Encodes blocks of rows for a binary COPY.
 * @param columns stand in the blocks, the same arrays in each
 * @param blocks give the number of rows that are filled; one is asked for when the one before is encoded
 */
export async function* encodeBlocks(
  columns: readonly WireColumn[],
  blocks: AsyncIterable<number> | Iterable<number>,
): AsyncGenerator<Buffer> {
  yield encodeHeader();
  const rowBytes = columns.reduce((sum, { type }) => sum + 4 + BYTES[type], 2);
  const capacity = columns[0].values.length;
  // Numbers and lengths of fields are the same in every row: written once, copied with each block.
  const template = Buffer.alloc(capacity * rowBytes);
  for (let at = 0; at < template.length;) {
    at = template.writeInt16BE(columns.length, at);
    for (const { type } of columns) at = template.writeInt32BE(BYTES[type], at) + BYTES[type];
  }
  for await (const rows of blocks) {
    const chunk = Buffer.from(template.subarray(0, rows * rowBytes));
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    let field = 2 + 4;
    for (const column of columns) {
      writeColumn(view, column, rows, field, rowBytes);
      field += BYTES[column.type] + 4;
    }
    yield chunk;
  }
  yield encodeTrailer();
}

function writeColumn(view: DataView, column: WireColumn, rows: number, first: number, step: number): void {
  if (column.type === 'int4') {
    for (let row = 0, at = first; row < rows; row++, at += step) view.setInt32(at, column.values[row]);
  } else if (column.type === 'int2') {
    for (let row = 0, at = first; row < rows; row++, at += step) view.setInt16(at, column.values[row]);
  } else if (column.type === 'float4') {
    for (let row = 0, at = first; row < rows; row++, at += step) view.setFloat32(at, column.values[row]);
  } else if (column.type === 'float8') {
    for (let row = 0, at = first; row < rows; row++, at += step) view.setFloat64(at, column.values[row]);
  } else {
    for (let row = 0, at = first; row < rows; row++, at += step) {
      const microseconds = (column.values[row] - EPOCH_SECONDS) * 1e6;
      const high = Math.floor(microseconds / 2 ** 32);
      view.setInt32(at, high);
      view.setUint32(at + 4, microseconds - high * 2 ** 32);
    }
  }
}

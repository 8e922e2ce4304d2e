/**
 * PostgreSQL's binary COPY format for columns of fixed width, straight from and into typed arrays.
 * Format: https://www.postgresql.org/docs/current/sql-copy.html (File Formats, Binary Format).
 */

import type { Readable } from 'node:stream';

const SIGNATURE_BYTES = 11;
/** Signature, flags and the length of an extension that no server sends. */
const HEADER_BYTES = SIGNATURE_BYTES + 8;
const FLOAT4_OID = 700;
/** Dimensions, null flag, element type, length, lower bound. */
const ARRAY_HEADER_BYTES = 20;
/** Large enough that the cost of a chunk vanishes, small enough to keep the socket's buffers in cache. */
const CHUNK_BYTES = 1 << 18;

/**
 * Calls `onTuple` with the offset of each tuple of `tupleBytes` bytes in a binary COPY.
 * @returns the number of tuples
 */
async function eachTuple(
  stream: Readable,
  fields: number,
  tupleBytes: number,
  onTuple: (bytes: DataView, at: number, row: number) => void,
): Promise<number> {
  let row = 0;
  let rest: Buffer = Buffer.alloc(0);
  let headerSeen = false;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (!headerSeen) {
      if (bytes.length < HEADER_BYTES) {
        rest = bytes;
        continue;
      }
      at = HEADER_BYTES;
      headerSeen = true;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    while (at + tupleBytes <= bytes.length) {
      if (view.getInt16(at) !== fields)
        throw new Error('binary COPY: a tuple of another layout than expected');
      onTuple(view, at + 2, row++);
      at += tupleBytes;
    }
    rest = bytes.subarray(at);
  }
  if (rest.length !== 2) throw new Error('binary COPY: it ends in the middle of a tuple');
  return row;
}

/** Columns that several COPYs may fill side by side, each row in the next free place. */
export interface FixedColumns {
  columns: readonly (Int32Array | Float32Array)[];
  /** Rows that are filled. */
  filled: number;
}

/**
 * Reads rows of 4-byte columns (integer, real), none null, from a binary COPY into `target`.
 * @throws where there are more rows than places, or they have another layout
 */
export async function readFixedColumns(stream: Readable, target: FixedColumns): Promise<void> {
  // As bits, whatever they are: one kind of array in a loop of 25 million rows.
  const columns = target.columns.map(
    ({ buffer, byteOffset, length }) => new Int32Array(buffer, byteOffset, length),
  );
  const places = columns[0].length;
  const tupleBytes = 2 + columns.length * 8;
  await eachTuple(stream, columns.length, tupleBytes, (bytes, at) => {
    if (target.filled === places)
      throw new Error(`binary COPY: more than the ${places} rows that were expected`);
    const row = target.filled++;
    for (let column = 0, field = at; column < columns.length; column++, field += 8) {
      if (bytes.getInt32(field) !== 4) throw new Error('binary COPY: a null or a column that is not 4 bytes');
      columns[column][row] = bytes.getInt32(field + 4);
    }
  });
}

/**
 * Reads rows of (id integer, factors real[]) with `rank` factors each from a binary COPY.
 * @throws where a row has another number of factors
 */
export async function readFactorRows(
  stream: Readable,
  rank: number,
): Promise<{ ids: Int32Array; factors: Float32Array }> {
  const arrayBytes = ARRAY_HEADER_BYTES + rank * 8;
  let ids = new Int32Array(1024);
  let factors = new Float32Array(1024 * rank);
  const rows = await eachTuple(stream, 2, 2 + 8 + 4 + arrayBytes, (bytes, at, row) => {
    if (row === ids.length) {
      ids = grown(ids, Int32Array);
      factors = grown(factors, Float32Array);
    }
    if (bytes.getInt32(at + 8) !== arrayBytes)
      throw new Error(`factors of another length than the rank ${rank}`);
    ids[row] = bytes.getInt32(at + 4);
    for (let i = 0, from = at + 12 + ARRAY_HEADER_BYTES + 4; i < rank; i++, from += 8) {
      factors[row * rank + i] = bytes.getFloat32(from);
    }
  });
  return { ids: ids.slice(0, rows), factors: factors.slice(0, rows * rank) };
}

function grown<T extends Int32Array | Float32Array>(values: T, type: new (length: number) => T): T {
  const larger = new type(values.length * 2);
  larger.set(values);
  return larger;
}

/**
 * Encodes rows of (run, id, real[]) for a binary COPY into a table of factors.
 * @param ids one a row; @param factors row-major, `rank` values a row
 */
export function* encodeFactorRows(
  run: number,
  ids: Int32Array,
  factors: Float32Array,
  rank: number,
): Generator<Buffer> {
  yield encodeHeader();
  const rowBytes = 2 + 8 + 8 + 4 + ARRAY_HEADER_BYTES + rank * 8;
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  for (let first = 0; first < ids.length; first += rowsPerChunk) {
    const last = Math.min(ids.length, first + rowsPerChunk);
    const [chunk, view] = allocateChunk((last - first) * rowBytes);
    let at = 0;
    for (let row = first; row < last; row++) {
      view.setInt16(at, 3);
      view.setInt32(at + 2, 4);
      view.setInt32(at + 6, run);
      view.setInt32(at + 10, 4);
      view.setInt32(at + 14, ids[row]);
      view.setInt32(at + 18, ARRAY_HEADER_BYTES + rank * 8);
      view.setInt32(at + 22, 1);
      view.setInt32(at + 26, 0);
      view.setInt32(at + 30, FLOAT4_OID);
      view.setInt32(at + 34, rank);
      view.setInt32(at + 38, 1);
      at += 22 + ARRAY_HEADER_BYTES;
      for (let from = row * rank; from < (row + 1) * rank; from++, at += 8) {
        view.setInt32(at, 4);
        view.setFloat32(at + 4, factors[from]);
      }
    }
    yield chunk;
  }
  yield encodeTrailer();
}

/** A column of a binary COPY, a value a row. */
export type WireColumn =
  | NumberColumn
  /** One of a few texts, by its place among them. */
  | { type: 'text'; values: Int8Array; texts: readonly Buffer[] }
  /** One of some lists, by its place among them, -1 for null; as `RankedLists` has them, `capacity` places each. */
  | { type: 'int4[]'; values: Int32Array; counts: Uint32Array; capacity: number; items: Int32Array };

/** NaN is written as null. */
interface NumberColumn {
  type: 'int2' | 'int4' | 'float8';
  values: Int8Array | Int32Array | Float64Array;
}

const NUMBER_BYTES = { int2: 2, int4: 4, float8: 8 } as const;
const INT4_OID = 23;

/** Encodes the first `rows` rows of columns for a binary COPY. */
export function* encodeRows(columns: readonly WireColumn[], rows: number): Generator<Buffer> {
  yield encodeHeader();
  yield* encodeTuples(columns, rows);
  yield encodeTrailer();
}

/** What stands between header and trailer; columns may take other values for the tuples after it. */
export function* encodeTuples(columns: readonly WireColumn[], rows: number): Generator<Buffer> {
  const rowBytes = 2 + columns.reduce((sum, column) => sum + 4 + mostBytes(column), 0);
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  for (let first = 0; first < rows; first += rowsPerChunk) {
    const last = Math.min(rows, first + rowsPerChunk);
    const [chunk, view] = allocateChunk((last - first) * rowBytes);
    let at = 0;
    for (let row = first; row < last; row++) {
      view.setInt16(at, columns.length);
      at += 2;
      for (const column of columns) at = writeField(chunk, view, column, row, at);
    }
    yield chunk.subarray(0, at);
  }
}

/** Of a value, its length left out. */
function mostBytes(column: WireColumn): number {
  if (column.type === 'text') return Math.max(...column.texts.map(({ length }) => length));
  if (column.type === 'int4[]') return ARRAY_HEADER_BYTES + column.capacity * 8;
  return NUMBER_BYTES[column.type];
}

/** Its numbers are written by the view: the compiler knows what those methods do, and what a buffer's do it does not. */
function allocateChunk(bytes: number): [Buffer, DataView] {
  const chunk = Buffer.allocUnsafe(bytes);
  return [chunk, new DataView(chunk.buffer, chunk.byteOffset, chunk.length)];
}

function writeField(chunk: Buffer, view: DataView, column: WireColumn, row: number, at: number): number {
  if (column.type === 'text') {
    const text = column.texts[column.values[row]];
    view.setInt32(at, text.length);
    chunk.set(text, at + 4);
    return at + 4 + text.length;
  }
  if (column.type === 'int4[]') return writeList(view, column, column.values[row], at);
  const value = column.values[row];
  if (Number.isNaN(value)) return writeNull(view, at);
  const bytes = NUMBER_BYTES[column.type];
  view.setInt32(at, bytes);
  if (column.type === 'int4') view.setInt32(at + 4, value);
  else if (column.type === 'float8') view.setFloat64(at + 4, value);
  else view.setInt16(at + 4, value);
  return at + 4 + bytes;
}

function writeList(
  view: DataView,
  { counts, capacity, items }: Extract<WireColumn, { type: 'int4[]' }>,
  list: number,
  at: number,
): number {
  if (list < 0) return writeNull(view, at);
  const count = counts[list];
  view.setInt32(at, ARRAY_HEADER_BYTES + count * 8);
  view.setInt32(at + 4, 1);
  view.setInt32(at + 8, 0);
  view.setInt32(at + 12, INT4_OID);
  view.setInt32(at + 16, count);
  view.setInt32(at + 20, 1);
  at += 4 + ARRAY_HEADER_BYTES;
  for (let place = 0; place < count; place++, at += 8) {
    view.setInt32(at, 4);
    view.setInt32(at + 4, items[list * capacity + place]);
  }
  return at;
}

function writeNull(view: DataView, at: number): number {
  view.setInt32(at, -1);
  return at + 4;
}

/** What every binary COPY begins with. */
export function encodeHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('PGCOPY\n\xff\r\n\0', 'latin1');
  return header;
}

/** … and ends with. */
export function encodeTrailer(): Buffer {
  const trailer = Buffer.alloc(2);
  trailer.writeInt16BE(-1);
  return trailer;
}

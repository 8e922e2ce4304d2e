/**
 * PostgreSQL's binary COPY format for columns of fixed width, straight from and into typed arrays.
 * Format: https://www.postgresql.org/docs/current/sql-copy.html (File Formats, Binary Format).
 */

import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const SIGNATURE_BYTES = 11;
/** Signature, flags and the length of an extension that no server sends. */
const HEADER_BYTES = SIGNATURE_BYTES + 8;
const INT4_OID = 23;
const FLOAT4_OID = 700;
/** Dimensions, null flag, element type, length, lower bound. */
const ARRAY_HEADER_BYTES = 20;
/** Large enough that the cost of a chunk vanishes, small enough to keep the socket's buffers in cache. */
const CHUNK_BYTES = 1 << 18;

/**
 * Calls `onTuple` with the offset of each tuple of `tupleBytes` bytes in a binary COPY. Chunk by chunk as they come: whoever
 * asks a stream for all that it has is given a copy of it.
 * @returns the number of tuples
 */
async function eachTuple(
  stream: Readable,
  fields: number,
  tupleBytes: number,
  onTuple: (bytes: DataView, at: number, row: number) => void,
): Promise<number> {
  let row = 0;
  let headerSeen = false;
  /** The beginning of what goes on in the next chunk: of the header, then of a tuple. */
  let rest: Buffer = Buffer.alloc(0);
  const takeTuples = (bytes: Buffer): number => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (; at + tupleBytes <= bytes.length; at += tupleBytes) {
      if (view.getInt16(at) !== fields)
        throw new Error('binary COPY: a tuple of another layout than expected');
      onTuple(view, at + 2, row++);
    }
    return at;
  };
  const take = (chunk: Buffer): void => {
    let at = 0;
    while (!headerSeen || rest.length > 0) {
      const wanted = headerSeen ? tupleBytes : HEADER_BYTES;
      const piece = chunk.subarray(at, at + wanted - rest.length);
      rest = Buffer.concat([rest, piece]);
      at += piece.length;
      if (rest.length < wanted) return;
      if (headerSeen) takeTuples(rest);
      headerSeen = true;
      rest = rest.subarray(wanted);
    }
    at += takeTuples(chunk.subarray(at));
    rest = chunk.subarray(at);
  };
  const taker = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      try {
        take(chunk);
      } catch (error) {
        return done(error as Error);
      }
      done();
    },
  });
  await pipeline(stream, taker);
  if (rest.length !== 2) throw new Error('binary COPY: it ends in the middle of a tuple');
  return row;
}

/**
 * Calls `onRow` with the offset of each row of a binary COPY whose fields have these widths in bytes, none null: of its first
 * field's length, which each field has 4 bytes of before it.
 * @returns the number of rows
 * @throws where a row has another layout
 */
export function eachFixedRow(
  stream: Readable,
  widths: readonly number[],
  onRow: (bytes: DataView, at: number) => void,
): Promise<number> {
  const tupleBytes = widths.reduce((sum, width) => sum + 4 + width, 2);
  return eachTuple(stream, widths.length, tupleBytes, (bytes, at) => {
    let field = at;
    for (const width of widths) {
      if (bytes.getInt32(field) !== width)
        throw new Error(`binary COPY: a null or a column that is not ${width} bytes`);
      field += 4 + width;
    }
    onRow(bytes, at);
  });
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
export function encodeFactorRows(
  run: number,
  ids: Int32Array,
  factors: Float32Array,
  rank: number,
): Generator<Buffer> {
  const columns: RowColumn[] = [
    { type: 'int4', values: new Int32Array(ids.length).fill(run) },
    { type: 'int4', values: ids },
    { type: 'float4[]', values: factors, length: rank },
  ];
  return encodeRows(columns, ids.length);
}

/** A column whose fields may differ in length or be null, a value a row. */
export type RowColumn =
  | NumberColumn
  /** An instant too, in microseconds since 2000, is so to PostgreSQL. */
  | { type: 'int8'; values: BigInt64Array }
  /** One of a few texts, by its place among them. */
  | { type: 'text'; values: Int8Array; texts: readonly Buffer[] }
  /** One of some lists, by its place among them, -1 for null; as `RankedLists` has them, `capacity` places each. */
  | { type: 'int4[]'; values: Int32Array; counts: Uint32Array; capacity: number; items: Int32Array }
  /** Row-major, `length` values a row. */
  | { type: 'float4[]'; values: Float32Array; length: number };

/** NaN is written as null. */
interface NumberColumn {
  type: 'int2' | 'int4' | 'float8';
  values: Int8Array | Int32Array | Float64Array;
}

const NUMBER_BYTES = { int2: 2, int4: 4, int8: 8, float8: 8 } as const;

/** Encodes the first `rows` rows of columns for a binary COPY; `encodeBlocks` where all fields are there and of one length. */
export function* encodeRows(columns: readonly RowColumn[], rows: number): Generator<Buffer> {
  yield encodeHeader();
  const rowBytes = columns.reduce((sum, column) => sum + 4 + mostBytes(column), 2);
  const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  for (let first = 0; first < rows; first += rowsPerChunk) {
    const last = Math.min(rows, first + rowsPerChunk);
    const chunk = Buffer.allocUnsafe((last - first) * rowBytes);
    // Numbers are written by the view: the compiler knows what its methods do, and what a buffer's do it does not.
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    for (let row = first; row < last; row++) {
      view.setInt16(at, columns.length);
      at += 2;
      for (const column of columns) at = writeField(chunk, view, column, row, at);
    }
    yield chunk.subarray(0, at);
  }
  yield encodeTrailer();
}

/** Of a value, its length left out. */
function mostBytes(column: RowColumn): number {
  if (column.type === 'text') return Math.max(...column.texts.map(({ length }) => length));
  if (column.type === 'int4[]') return arrayBytes(column.capacity);
  if (column.type === 'float4[]') return arrayBytes(column.length);
  return NUMBER_BYTES[column.type];
}

function writeField(chunk: Buffer, view: DataView, column: RowColumn, row: number, at: number): number {
  if (column.type === 'text') {
    const text = column.texts[column.values[row]];
    view.setInt32(at, text.length);
    chunk.set(text, at + 4);
    return at + 4 + text.length;
  }
  if (column.type === 'int4[]') return writeList(view, column, column.values[row], at);
  if (column.type === 'float4[]') return writeVector(view, column, row, at);
  if (column.type === 'int8') {
    view.setInt32(at, NUMBER_BYTES.int8);
    view.setBigInt64(at + 4, column.values[row]);
    return at + 4 + NUMBER_BYTES.int8;
  }
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
  { counts, capacity, items }: Extract<RowColumn, { type: 'int4[]' }>,
  list: number,
  at: number,
): number {
  if (list < 0) return writeNull(view, at);
  at = writeArrayHeader(view, INT4_OID, counts[list], at);
  for (let from = list * capacity, end = from + counts[list]; from < end; from++, at += 8) {
    view.setInt32(at, 4);
    view.setInt32(at + 4, items[from]);
  }
  return at;
}

function writeVector(
  view: DataView,
  { values, length }: Extract<RowColumn, { type: 'float4[]' }>,
  row: number,
  at: number,
): number {
  at = writeArrayHeader(view, FLOAT4_OID, length, at);
  for (let from = row * length, end = from + length; from < end; from++, at += 8) {
    view.setInt32(at, 4);
    view.setFloat32(at + 4, values[from]);
  }
  return at;
}

/** Of so many elements of 4 bytes. */
function arrayBytes(elements: number): number {
  return ARRAY_HEADER_BYTES + elements * 8;
}

/** The length of the field, one dimension, no nulls, the type of elements, how many, and where they are counted from. */
function writeArrayHeader(view: DataView, type: number, elements: number, at: number): number {
  for (const value of [arrayBytes(elements), 1, 0, type, elements, 1]) {
    view.setInt32(at, value);
    at += 4;
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

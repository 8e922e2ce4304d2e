import { type Region, Workspace, giveBackWorkspace, takeWorkspace } from './memory.ts';
import { surveyMemory } from './survey-ratings.ts';
import { runThreads } from './threads/pool.ts';

/** Ratings as three columns, in any order: any 32-bit ids, any finite scale. */
export interface RatingTriples {
  users: Int32Array;
  items: Int32Array;
  ratings: Float32Array;
}

/** One side of the matrix in compressed sparse rows: row r holds `columns[starts[r] … starts[r + 1])`. */
export interface SparseRows {
  starts: Uint32Array;
  /** Dense indices of the other side, ascending within a row; 16 bits where they suffice. */
  columns: Uint16Array | Uint32Array;
  /** Codes into the matrix's `scale`, or the ratings themselves where it has none. */
  values: Uint8Array | Float32Array;
}

/** Ratings by user and by item, in the engine's memory. Ids ascend, so a smaller index is a smaller id. */
export class RatingMatrix {
  readonly workspace: Workspace;
  readonly userIds: Int32Array;
  readonly itemIds: Int32Array;
  readonly byUser: SparseRows;
  readonly byItem: SparseRows;
  /** The distinct ratings, ascending, where there are up to 256. */
  readonly scale: Float32Array | null;
  /** Mean rating. */
  readonly mean: number;

  constructor(workspace: Workspace, parts: Omit<BuiltMatrix, 'regions'>) {
    this.workspace = workspace;
    this.userIds = parts.userIds;
    this.itemIds = parts.itemIds;
    this.byUser = parts.byUser;
    this.byItem = parts.byItem;
    this.scale = parts.scale;
    this.mean = parts.mean;
  }

  /** Number of ratings. */
  get size(): number {
    return this.byUser.columns.length;
  }

  /** Gives the memory back for the next matrix; nothing of this one may be used afterwards. */
  release(): void {
    giveBackWorkspace(this.workspace);
  }
}

/** The rating at a place of one of the matrix's sides. */
export function ratingAt({ values }: SparseRows, scale: Float32Array | null, at: number): number {
  return scale === null ? values[at] : scale[values[at]];
}

/** Columns in the engine's memory: a matrix is built from them without a copy, in their place, and uses them up. */
export class RatingColumns implements RatingTriples {
  readonly workspace: Workspace;
  readonly users: Int32Array;
  readonly items: Int32Array;
  readonly ratings: Float32Array;

  /** @throws NotEnoughMemoryError where the machine has none for so many `rows` and the matrix made of them */
  constructor(rows: number) {
    this.workspace = takeWorkspace();
    const what = `${rows.toLocaleString('en')} ratings`;
    try {
      // Room for the matrix too, so that what cannot be is known before anything is read.
      const room = this.workspace.allocate(rows * (COLUMN_BYTES + MATRIX_BYTES), what);
      this.workspace.free(room);
      this.users = this.workspace.array(Int32Array, rows, what);
      this.items = this.workspace.array(Int32Array, rows, what);
      this.ratings = this.workspace.array(Float32Array, rows, what);
    } catch (error) {
      giveBackWorkspace(this.workspace);
      throw error;
    }
  }

  /** Gives back what a matrix that was built from them does not use: where no row is needed as a column any more. */
  free(): void {
    this.workspace.free(this.users);
  }

  /** Gives everything back, the matrices that were built from them included. */
  release(): void {
    giveBackWorkspace(this.workspace);
  }
}

const COLUMN_BYTES = 12;
/** Of a rating on the side that finds no room in the columns, its indices wide and its ratings no codes. */
const MATRIX_BYTES = 8;

export interface BuildOptions {
  /** 1 by default. */
  threads?: number;
  signal?: AbortSignal;
  /** Rows of the columns to build from, the end excluded; all by default. */
  rows?: [number, number];
}

/** What the threads are given. */
export interface BuildTask {
  memory: WebAssembly.Memory;
  /** What of it is taken. */
  regions: Region[];
  users: Int32Array;
  items: Int32Array;
  ratings: Float32Array;
  /** What threads tell each other: of the ratings they have seen, and the numbers of users and of items. */
  findings: SharedArrayBuffer;
  idCounts: SharedArrayBuffer;
}

/** What the first of them gives. */
export interface BuiltMatrix {
  userIds: Int32Array;
  itemIds: Int32Array;
  byUser: SparseRows;
  byItem: SparseRows;
  scale: Float32Array | null;
  mean: number;
  regions: Region[];
}

/**
 * Builds the matrix on threads: the same to the bit, whatever their number.
 * @throws where there are no ratings, a rating is not finite, or a (user, item) pair stands twice;
 *   NotEnoughMemoryError where the machine has none for so many
 */
export async function buildRatingMatrix(
  triples: RatingTriples,
  { threads = 1, signal, rows = [0, triples.users.length] }: BuildOptions = {},
): Promise<RatingMatrix> {
  const own = triples instanceof RatingColumns;
  const columns = own ? triples : copyColumns(triples);
  const task: BuildTask = {
    memory: columns.workspace.memory,
    regions: columns.workspace.regions,
    users: columns.users.subarray(...rows),
    items: columns.items.subarray(...rows),
    ratings: columns.ratings.subarray(...rows),
    findings: surveyMemory(threads),
    idCounts: new SharedArrayBuffer(8),
  };
  try {
    const [{ regions, ...parts }] = await runThreads<BuiltMatrix>('matrix', task, { threads, signal });
    columns.workspace.adopt(regions);
    if (!own) columns.free();
    return new RatingMatrix(columns.workspace, parts);
  } catch (error) {
    if (!own) columns.release();
    throw error;
  }
}

function copyColumns({ users, items, ratings }: RatingTriples): RatingColumns {
  const columns = new RatingColumns(users.length);
  columns.users.set(users);
  columns.items.set(items);
  columns.ratings.set(ratings);
  return columns;
}

/** The memory that the kernel works on: one WebAssembly memory a matrix, shared by all threads. */

/** WebAssembly's own unit. */
const PAGE_BYTES = 1 << 16;
/** What 32-bit addresses reach, the last page left out so that a length never overflows. */
const LARGEST_BYTES = 2 ** 32 - PAGE_BYTES;
/** A cache line: no two threads write into one by accident of layout. */
const ALIGNMENT = 64;
/** The kernel's own data lie below this. */
const FIRST_FREE = 4096;

/** Work for which the machine has no memory: found out before any is taken. */
export class NotEnoughMemoryError extends Error {
  override name = 'NotEnoughMemoryError';
}

/** Bytes [offset, offset + bytes) of a workspace. */
export interface Region {
  offset: number;
  bytes: number;
}

type TypedArray = Int32Array | Uint32Array | Float32Array | Float64Array | Uint16Array | Uint8Array;
export type TypedArrayClass<View> = {
  BYTES_PER_ELEMENT: number;
  new (buffer: SharedArrayBuffer, offset: number, length: number): View;
};

/** An array of its own that all threads see: what one is given of it is no copy. */
export function sharedArray<View extends TypedArray>(type: TypedArrayClass<View>, length: number): View {
  return new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT), 0, length);
}

/** Hands out regions of one WebAssembly memory, which grows as needed and never shrinks. */
export class Workspace {
  readonly memory: WebAssembly.Memory;
  /** What is handed out, by ascending offset. */
  readonly regions: Region[] = [];

  constructor(memory?: WebAssembly.Memory) {
    this.memory =
      memory ?? new WebAssembly.Memory({ initial: 1, maximum: LARGEST_BYTES / PAGE_BYTES + 1, shared: true });
  }

  /**
   * Takes the first gap that is large enough, or grows.
   * @throws NotEnoughMemoryError before anything is taken, where `what` needs more than there is
   */
  allocate(bytes: number, what: string): Region {
    const size = Math.ceil(Math.max(bytes, 1) / ALIGNMENT) * ALIGNMENT;
    let offset = FIRST_FREE;
    let at = 0;
    for (; at < this.regions.length; at++) {
      const { offset: taken, bytes: length } = this.regions[at];
      if (taken - offset >= size) break;
      offset = taken + length;
    }
    this.#reserve(offset + size, what);
    const region = { offset, bytes: size };
    this.regions.splice(at, 0, region);
    return region;
  }

  /** A new array in this memory, zeroed only where the memory is new; free it by `free`. */
  array<View extends TypedArray>(type: TypedArrayClass<View>, length: number, what: string): View {
    const { offset } = this.allocate(length * type.BYTES_PER_ELEMENT, what);
    return new type(this.memory.buffer, offset, length);
  }

  /** Gives back what an array or a region takes; who looks at it afterwards sees what others write. */
  free(...given: (TypedArray | Region)[]): void {
    for (const one of given) {
      const offset = 'offset' in one ? one.offset : one.byteOffset;
      const at = this.regions.findIndex((region) => region.offset === offset);
      if (at >= 0) this.regions.splice(at, 1);
    }
  }

  /** Takes over what a thread has allocated in the same memory. */
  adopt(regions: readonly Region[]): void {
    this.regions.splice(0, this.regions.length, ...regions);
  }

  #reserve(end: number, what: string): void {
    const missing = end - this.memory.buffer.byteLength;
    if (missing <= 0) return;
    if (end > LARGEST_BYTES) {
      throw new NotEnoughMemoryError(
        `${what}: needs ${gigabytes(end)}, more than the ${gigabytes(LARGEST_BYTES)} that 32-bit addresses reach`,
      );
    }
    const available = process.availableMemory();
    if (missing > available) {
      throw new NotEnoughMemoryError(
        `${what}: needs ${gigabytes(missing)} more memory, and ${gigabytes(available)} are available`,
      );
    }
    this.memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

/** What one piece of work takes of a workspace, given back all at once. */
export class Lease {
  readonly #workspace: Workspace;
  readonly #what: string;
  readonly #taken: Region[] = [];

  /** @param what the work, for the error where there is not memory enough */
  constructor(workspace: Workspace, what: string) {
    this.#workspace = workspace;
    this.#what = what;
  }

  /** As of the workspace. */
  array<View extends TypedArray>(type: TypedArrayClass<View>, length: number): View {
    const view = this.#workspace.array(type, length, this.#what);
    this.#taken.push({ offset: view.byteOffset, bytes: view.byteLength });
    return view;
  }

  /** @returns the offset of so many bytes */
  allocate(bytes: number): number {
    const region = this.#workspace.allocate(bytes, this.#what);
    this.#taken.push(region);
    return region.offset;
  }

  free(): void {
    this.#workspace.free(...this.#taken);
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * A workspace that nobody uses any more. The engine's memories are shared between threads, which hides their size from
 * the garbage collector: without reuse, a process would keep one for each matrix that it ever had.
 */
const spare: Workspace[] = [];

export function takeWorkspace(): Workspace {
  return spare.pop() ?? new Workspace();
}

/** Everything in it may be overwritten from now on. */
export function giveBackWorkspace(workspace: Workspace): void {
  if (spare.includes(workspace)) return;
  workspace.regions.length = 0;
  if (spare.length === 0) spare.push(workspace);
}

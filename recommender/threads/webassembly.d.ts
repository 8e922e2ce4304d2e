/** What the engine uses of the WebAssembly JavaScript Interface; TypeScript has it in its DOM library only. */
declare namespace WebAssembly {
  interface MemoryDescriptor {
    initial: number;
    maximum: number;
    shared: true;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    /** Another object after each growth; views of an earlier one keep working. */
    readonly buffer: SharedArrayBuffer;
    grow(pages: number): number;
  }
  interface Module {
    /** Tells modules from other objects, which nothing else does. */
    readonly [Symbol.toStringTag]: 'WebAssembly.Module';
  }
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, Memory>>);
    readonly exports: object;
  }
}

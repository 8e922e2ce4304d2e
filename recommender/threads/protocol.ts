export type TaskName =
  'checksum' | 'split' | 'matrix' | 'als' | 'fold' | 'rank' | 'group' | 'measure' | 'bootstrap';

/** What a thread is started with. */
export interface ThreadStart {
  task: TaskName;
  thread: number;
  threads: number;
  /** Zeroed shared memory for the threads of one call. */
  control: SharedArrayBuffer;
  data: object;
}

export type ThreadMessage =
  | { kind: 'progress'; value: unknown }
  | { kind: 'done'; value: unknown }
  | { kind: 'error'; message: string };

/** A thread's own place among those of one call. */
export interface ThreadContext {
  thread: number;
  threads: number;
  control: Int32Array;
  progress(value: unknown): void;
}

/** How a training is taken up again where it was stopped. */

import type { AlsTask } from './als.ts';
import type { Bands } from './bands.ts';

/** Solved rows of one half-step: in iteration i, half-step 2i - 1 solves the users and 2i the items. */
export interface CheckpointPart {
  halfStep: number;
  /** The first of the rows. */
  first: number;
  /** Their factors as the kernel keeps them. */
  factors: Float32Array;
}

/** Together with the parts before it, all that the training goes on from: the same bits come out. */
export interface TrainingCheckpoint {
  parts: CheckpointPart[];
  /** Parts of earlier half-steps than this are not needed any more. */
  keepFrom: number;
  /** Of the last iteration that is done: what the next one is measured by. */
  objective: number | null;
}

/** An iteration that takes so many times longer than checkpoints are apart is saved in its middle: at 2 s, after 3.5 s. */
const PATIENCE = 1.75;

/** Puts a checkpoint's rows where the kernel looks for them. Users' penalties follow from their factors. */
export function restoreFactors(task: AlsTask, { parts }: TrainingCheckpoint): void {
  const { userFactors, itemFactors, matrix, layout, configuration } = task;
  for (const { halfStep, first, factors } of parts) {
    (halfStep % 2 === 1 ? userFactors : itemFactors).set(factors, first * layout.stride);
  }
  const { starts } = matrix.byUser;
  const regularization = Math.fround(configuration.regularization);
  for (let user = 0; user + 1 < starts.length; user++) {
    let norm = 0;
    for (let at = user * layout.stride; at < (user + 1) * layout.stride; at++)
      norm += userFactors[at] * userFactors[at];
    task.userObjective[user] = regularization * (starts[user + 1] - starts[user]) * norm;
  }
}

/** Tells what is new since it last told: at the end of an iteration, or within one that is long. */
export class CheckpointKeeper {
  readonly #task: AlsTask;
  readonly #every: number;
  readonly #tell: (checkpoint: TrainingCheckpoint) => void;
  #saved: { halfStep: number; rows: number };
  #at = performance.now();

  /** @param every milliseconds; @param reached what is saved already */
  constructor(
    task: AlsTask,
    every: number,
    reached: { halfStep: number; rows: number },
    tell: (checkpoint: TrainingCheckpoint) => void,
  ) {
    this.#task = task;
    this.#every = every;
    this.#saved = reached;
    this.#tell = tell;
  }

  /** The items' factors are all that the next iteration starts from. */
  afterIteration(halfStep: number, objective: number): void {
    if (performance.now() - this.#at < this.#every) return;
    this.#save([this.#part(halfStep, this.#task.matrix.itemIds.length)], halfStep, objective);
  }

  /** Saves the rows of finished chunks up to the first that is not, once all bands are done, and the fixed side they follow from. */
  whileSolving(
    halfStep: number,
    objective: number | null,
    { chunks, bands }: { chunks: Uint32Array; bands: Bands | null },
    skipped: number,
  ): void {
    if (performance.now() - this.#at < PATIENCE * this.#every) return;
    // Rows of bands lie among all others.
    for (let band = 0; bands !== null && band + 1 < bands.bounds.length; band++) {
      if (Atomics.load(this.#task.doneBands, band) === 0) return;
    }
    let chunk = skipped;
    while (Atomics.load(this.#task.doneChunks, chunk) === 1) chunk++;
    const rows = chunks[chunk];
    const fixedRows =
      halfStep % 2 === 1 ? this.#task.matrix.itemIds.length : this.#task.matrix.userIds.length;
    // Saved already, or the start, which follows from the seed or is given again.
    const hasFixed = this.#saved.halfStep === halfStep || halfStep === 1;
    const parts = hasFixed ? [] : [this.#part(halfStep - 1, fixedRows)];
    this.#save([...parts, this.#part(halfStep, rows)], halfStep - 1, objective);
  }

  #part(halfStep: number, rows: number): CheckpointPart {
    const { userFactors, itemFactors, layout } = this.#task;
    const first = this.#saved.halfStep === halfStep ? this.#saved.rows : 0;
    const solved = halfStep % 2 === 1 ? userFactors : itemFactors;
    // A copy that belongs to nobody else: the half-step after the next writes over the rows.
    return {
      halfStep,
      first,
      factors: solved.slice(first * layout.stride, rows * layout.stride),
    };
  }

  #save(parts: CheckpointPart[], keepFrom: number, objective: number | null): void {
    const told = parts.filter(({ factors }) => factors.length > 0);
    const last = parts[parts.length - 1];
    this.#at = performance.now();
    this.#saved = {
      halfStep: last.halfStep,
      rows: last.first + last.factors.length / this.#task.layout.stride,
    };
    if (told.length > 0) this.#tell({ parts: told, keepFrom, objective });
  }
}

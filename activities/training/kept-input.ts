import type { GroupedHoldout, Model, RatingColumns, RatingMatrix } from '../../recommender/index.ts';

/** A snapshot in the engine's memory: `train` rows of the train part, then the holdout. */
export interface ModelInput {
  columns: RatingColumns;
  train: number;
}

/** Which rows a matrix is built from. The holdout stays what it was beside a matrix of the train part. */
export type MatrixPart = 'train' | 'whole';

/** What an input's columns have been used up for. */
export interface BuiltInput {
  part: MatrixPart;
  matrix: RatingMatrix;
  /** The holdout beside a matrix of the train part, once a twin has been measured on it. */
  holdout?: GroupedHoldout;
  /** What the run's refit has trained on the whole and stored, and which attempt of its stage that was. */
  refitted?: { model: Model; token: number };
}

/** An input, and what was made of it. */
export interface KeptInput extends ModelInput {
  built: BuiltInput | null;
}

/**
 * What the last numeric activity of this process, or silver of a whole image, leaves for the next one, which mostly works on the same: loading 25
 * million ratings and building their matrix takes seconds each time. One input at most, whose memory the engine would
 * keep for the next one anyway.
 */
export class InputKeeper {
  #kept: { key: string; input: KeptInput } | null = null;

  /** Gives what was left under this key, if it still serves for a matrix of `part`; forgets everything else. */
  take(key: string | null, part: MatrixPart): KeptInput | null {
    const kept = this.#kept;
    this.#kept = null;
    if (kept === null) return null;
    const { input } = kept;
    if (kept.key === key && (input.built === null || input.built.part === part)) return input;
    input.columns.release();
    return null;
  }

  /** Leaves an input that nobody uses any more; without a key nobody can ask for it. */
  leave(key: string | null, input: KeptInput): void {
    this.forget();
    if (key === null) input.columns.release();
    else this.#kept = { key, input };
  }

  /** Leaves the ratings of an image, as they were read, for the split. */
  leaveColumns(key: string, columns: RatingColumns): void {
    this.leave(key, { columns, train: columns.users.length, built: null });
  }

  /** Forgets everything but what was left under this key. */
  keepOnly(key: string | null): void {
    if (this.#kept?.key !== key) this.forget();
  }

  /** Gives the memory back to the engine: before anything else is loaded into it. */
  forget(): void {
    this.#kept?.input.columns.release();
    this.#kept = null;
  }
}

/** Under which the ratings of a run's whole image are left: of the attempt at silver, by its token, that has written it. */
export function imageKey(database: string, run: number, token: number): string {
  return `${database} ${run} image ${token}`;
}

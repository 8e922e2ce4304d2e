/**
 * Schema `speed`: what has come since the last night. Readers see it through the views only. `speed.trending` and
 * `speed.movie_stats` are partitions of the night's tables, with the number 0 for the run.
 */

import type { GeneratedAlways } from 'kysely';
import type { Json } from './pipeline.ts';
import type { SilverRatings } from './lake.ts';

/** `speed.passes`: the ledger of the speed layer's passes, one row for each that wrote something. */
export interface Passes {
  pass: GeneratedAlways<number>;
  /** With `execution_id`, as in `pipeline.runs`, unique: a pass that is asked for again answers what it came to. */
  workflow_id: string;
  execution_id: string;
  /** The logical instant: later ratings are not looked at. */
  as_of: Date;
  /** The run whose snapshot the pass goes by. */
  base_run: number;
  /** The run whose version was served. */
  model_run: number;
  /** How trending and lists were made. */
  settings: Json<unknown>;
  /** When the view of the source that it has read was opened. */
  read_at: Date;
  /** Users who are not in the source as in the snapshot, or as the served version has seen them. */
  changed_users: number;
  /** Of theirs, as silver takes them. */
  ratings: number;
  /** With statistics. */
  movies: number;
  /** When its statistics were there to see. */
  finished_at: Date;
  /** Null until its users are folded in. */
  folded_users: number | null;
  folded_at: Date | null;
  note: string | null;
}

/** `speed.latest`: the pass whose statistics the tables hold. Readers see them once the published night is no newer. */
export interface LatestPass {
  only_row: boolean;
  pass: number;
  base_run: number;
  base_as_of: Date;
  /** `speed.recent_ratings` has what its snapshot holds after this; null where it has nothing of it. */
  recent_since: Date | null;
}

/** `speed.recent_ratings`: the latest ratings of the snapshot that the latest pass went by, found once for all that go by it. */
export type RecentRatings = Omit<SilverRatings, 'image'>;

/** `speed.overlay`: users who were folded into a version. Their rows hide those that the night has made of them. */
export interface Overlay {
  model_run: number;
  user_id: number;
  /** Solved against the version's item factors. */
  factors: number[];
  /** Movies that the user has rated. */
  rated: number[];
  /** The list, best first, and its scores. */
  movies: number[];
  scores: number[];
  /** The pass's instant at which it became so. */
  generated_at: Date;
}

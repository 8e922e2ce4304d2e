/** Experiments on the snapshot of a run, which later nights do not wait for. */

import type { Db } from '../../database/connect.ts';
import { type KeptSnapshot, chooseSnapshot, keptSnapshots } from '../../database/experiments.ts';
import { terminalFailure } from '../support/failures.ts';

/**
 * The snapshot of `run`, or of the newest run that came to its end.
 * @param verb what is to be done on another run, for the error
 * @throws SnapshotGone where it is not kept
 */
export async function snapshotFor(
  db: Db,
  run: number | undefined,
  verb: 'search' | 'test',
): Promise<KeptSnapshot> {
  const kept = await keptSnapshots(db);
  const chosen = chooseSnapshot(kept, run);
  if (chosen !== undefined) return chosen;
  const there =
    kept.length === 0 ? 'there is none' : `there are those of runs ${kept.map((one) => one.run).join(', ')}`;
  throw terminalFailure(
    'SnapshotGone',
    `the snapshot of ${run === undefined ? 'a run that came to its end' : `run ${run}`} is not kept, expected one that is, and ${there}; ${verb} on another run, or start a night first`,
  );
}

/**
 * Looks whether the snapshot of an experiment that is under way is still there.
 * @param wanted whose it is, how long it is wanted, and what is to be done on a newer run
 * @throws SnapshotGone where a later night has dropped it
 */
export async function assertKept(
  db: Db,
  run: number,
  wanted: { by: string; until: string; verb: 'search' | 'test' },
): Promise<void> {
  if ((await keptSnapshots(db)).some((kept) => kept.run === run)) return;
  throw terminalFailure(
    'SnapshotGone',
    `${wanted.by}: the snapshot of run ${run} was dropped by a later night, expected it to be kept to the ${wanted.until}; ${wanted.verb} on a newer run`,
  );
}

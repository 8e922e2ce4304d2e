/**
 * Snapshots and the images that hold them. An image is one table of ratings, built in full by one run and brought up to
 * date in place by later ones: it holds the snapshot of the newest of them, and those of the others no more.
 */

import { sql } from 'kysely';
import type { Db } from './connect.ts';
import { attachedRuns } from './versions.ts';

export interface HeldSnapshot {
  run: number;
  image: number;
  rules: number;
  as_of: Date;
}

/** The rules that a snapshot was made by: those of one whose image holds neither it nor another any more are kept as -1 less them. */
export function madeBy(rules: number): number {
  return rules < 0 ? -1 - rules : rules;
}

/** Says so of all snapshots in some images: no batch may follow one of them. */
export async function voidImages(db: Db, images: number[]): Promise<void> {
  if (images.length === 0) return;
  await db
    .updateTable('silver.snapshots')
    .set({ rules: sql`-1 - rules` })
    .where('rules', '>=', 0)
    .where('image', 'in', images)
    .execute();
}

/** The snapshots that can be read, newest as-of first; voided rules say of one that its image was written into since. */
export async function heldSnapshots(db: Db): Promise<HeldSnapshot[]> {
  const images = await attachedRuns(db, 'silver.ratings');
  if (images.length === 0) return [];
  return db
    .selectFrom('silver.snapshots')
    .distinctOn('image')
    .where('image', 'in', images)
    .orderBy('image')
    .orderBy('run', 'desc')
    .select(['run', 'image', 'rules', 'as_of'])
    .execute()
    .then((held) => held.toSorted((a, b) => b.as_of.getTime() - a.as_of.getTime() || b.run - a.run));
}

/**
 * The image that holds the snapshot of `run`.
 * @throws where there is none, or a later night has brought it up to date since
 */
export async function imageOf(db: Db, run: number): Promise<number> {
  const held = (await heldSnapshots(db)).find((one) => one.run === run);
  if (held === undefined)
    throw new Error(
      `run ${run}: its snapshot is not there, expected the one that stage silver has written; a later night may have replaced it`,
    );
  return held.image;
}

/** The images that the snapshots of `runs` are or were in. */
export async function imagesOf(db: Db, runs: number[]): Promise<number[]> {
  if (runs.length === 0) return [];
  const rows = await db
    .selectFrom('silver.snapshots')
    .select('image')
    .distinct()
    .where('run', 'in', runs)
    .execute();
  return rows.map(({ image }) => image);
}

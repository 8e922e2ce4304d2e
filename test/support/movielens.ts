import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RatingTriples } from '../../recommender/index.ts';

/** Real ratings, where they are at hand: their licence keeps them out of the repository. */
export const MOVIELENS = fileURLToPath(new URL('../../../shared/data/ml-latest-small', import.meta.url));
export const hasMovieLens = existsSync(`${MOVIELENS}/ratings.csv`);

/** `ratings.csv` as columns, read in another way than the importer does. */
export function readRatings(): RatingTriples & { seconds: Int32Array } {
  const rows = readFileSync(`${MOVIELENS}/ratings.csv`, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
  return {
    users: Int32Array.from(rows, ([user]) => user),
    items: Int32Array.from(rows, ([, movie]) => movie),
    ratings: Float32Array.from(rows, ([, , rating]) => rating),
    seconds: Int32Array.from(rows, ([, , , seconds]) => seconds),
  };
}

/** The rows of `triples` for which `keep` holds. */
export function pickRows(triples: RatingTriples, keep: (row: number) => boolean): RatingTriples {
  const rows = Array.from(triples.users.keys()).filter(keep);
  return {
    users: Int32Array.from(rows, (row) => triples.users[row]),
    items: Int32Array.from(rows, (row) => triples.items[row]),
    ratings: Float32Array.from(rows, (row) => triples.ratings[row]),
  };
}

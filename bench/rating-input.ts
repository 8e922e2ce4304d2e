import { UsageError } from '../config/settings.ts';
import { type RatingFile, findRatingFile, readRatingFile } from '../data/rating-files.ts';

/** Reads the rating file that a path means, or the one in a folder. */
export function readRatings(path: string): Promise<RatingFile> {
  return readRatingFile(findRatingFile(path));
}

/**
 * Runs work on a file's ratings; a pair that stands twice is the file's fault, and is looked for only when the
 * engine has met it.
 * @throws UsageError that names the file and both lines
 */
export async function naming<Value>(file: RatingFile, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    const found = /^user (-?\d+) has two ratings for item (-?\d+)/.exec(message);
    if (found === null) throw error;
    const [user, item] = found.slice(1).map(Number);
    const lines: number[] = [];
    file.users.forEach((other, row) => {
      if (other === user && file.items[row] === item) lines.push(file.firstLine + row);
    });
    throw new UsageError(
      `${file.path}, line ${lines[1]}: user ${user} has rated movie ${item} already, in line ${lines[0]}`,
    );
  }
}

import type { Connection } from '../../database/connect.ts';
import { checksumRatings } from '../../recommender/index.ts';
import type { ModelInput } from './kept-input.ts';

export interface SplitChecksums {
  train: string;
  holdout: string;
}

export type RegisteredSplit = NonNullable<Awaited<ReturnType<typeof registeredSplit>>>;

/** What stage split of a run has found its split to be; undefined before it is done. */
export function registeredSplit({ db }: Connection, run: number, seed: number) {
  return db
    .selectFrom('gold.splits')
    .select(['ratings', 'train', 'train_checksum', 'holdout_checksum'])
    .where('run', '=', run)
    .where('seed', '=', seed)
    .executeTakeFirst();
}

export async function checksumInput(
  { columns, train }: ModelInput,
  signal: AbortSignal,
): Promise<SplitChecksums> {
  const [first, second] = await checksumRatings(columns, train, signal);
  return { train: first, holdout: second };
}

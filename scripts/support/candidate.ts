import { isDeepStrictEqual } from 'node:util';
import {
  type ModelConfiguration,
  UsageError,
  modelConfigurationSchema,
  resolveSettings,
} from '../../config/settings.ts';
import { gridSearch, gridSearchResults } from '../../database/experiments.ts';
import { readDatabaseId, withConnection } from './database.ts';

/**
 * The overrides of a night whose challengers the best point of a grid search joins; those that were given where it is
 * among them already.
 * @throws UsageError where the search has no best point, or the settings do not take it
 */
export async function withCandidate(
  databaseUrl: string,
  search: number,
  night: { profile: string; overrides: string[] },
): Promise<string[]> {
  const candidate = await readBest(databaseUrl, search);
  try {
    return addChallenger(night, candidate);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`--candidate ${search}: ${error.message}`);
    throw error;
  }
}

/** @throws UsageError where the settings do not take it: too many challengers, or a family that cannot be one */
export function addChallenger(
  { profile, overrides }: { profile: string; overrides: string[] },
  candidate: ModelConfiguration,
): string[] {
  const { challengers } = resolveSettings(profile, overrides);
  if (challengers.some((challenger) => isDeepStrictEqual(challenger, candidate))) return overrides;
  const added = [...overrides, `challengers=${JSON.stringify([...challengers, candidate])}`];
  resolveSettings(profile, added);
  return added;
}

async function readBest(databaseUrl: string, search: number): Promise<ModelConfiguration> {
  // Says so where no worker has ever been at work there.
  await readDatabaseId(databaseUrl);
  return withConnection(databaseUrl, async ({ db }) => {
    const found = await gridSearch(db, search);
    if (found === undefined) throw new UsageError(`--candidate ${search}: there is no such grid search`);
    const best = (await gridSearchResults(db, search)).find((point) => point.is_best);
    if (best === undefined) {
      throw new UsageError(
        `--candidate ${search}: that grid search ${found.finished_at === null ? 'has not ended yet' : 'found no usable model'}; expected one that has a best point`,
      );
    }
    return modelConfigurationSchema.parse(best.parameters);
  });
}

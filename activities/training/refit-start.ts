import type { Db } from '../../database/connect.ts';
import { type Configuration, type StartFactors, configurationKey } from '../../recommender/index.ts';
import type { StageAttempt } from '../support/stage.ts';
import { toBytes, toFloats, toIntegers } from './bytes.ts';

/**
 * Iterations of a refit: the last ones of its configuration, on the whole snapshot. Those before them are its twin's, on the
 * train part (docs/decisions/0025-refit-goes-on.md).
 */
const REFIT_ITERATIONS = 3;

/** Where a refit goes on. */
export interface RefitStart {
  factors: StartFactors;
  /** Iterations that are done. */
  iteration: number;
}

/**
 * The iteration after which a twin is what a refit goes on from; null where it has too few, or where how many it will have
 * is not known before: then the refit has them all.
 */
export function refitStartsAfter(configuration: Configuration): number | null {
  if (configuration.family === 'popular' || configuration.tolerance !== undefined) return null;
  const after = configuration.iterations - REFIT_ITERATIONS;
  return after > 0 ? after : null;
}

/** Keeps what a refit of the configuration goes on from, in the place of what an earlier attempt has kept. */
export async function keepRefitStart(
  attempt: StageAttempt,
  configuration: Configuration,
  { factors: { itemIds, itemFactors, width }, iteration }: RefitStart,
): Promise<void> {
  const kept = { iteration, width, item_ids: toBytes(itemIds), item_factors: toBytes(itemFactors) };
  await attempt.write(({ db }) =>
    db
      .insertInto('experiments.refit_starts')
      .values({ run: attempt.run, configuration: configurationKey(configuration), ...kept })
      .onConflict((conflict) => conflict.columns(['run', 'configuration']).doUpdateSet(kept))
      .execute(),
  );
}

/** What a refit goes on from; undefined where it begins at the seed. */
export async function loadRefitStart(
  db: Db,
  run: number,
  configuration: Configuration,
): Promise<RefitStart | undefined> {
  const row = await db
    .selectFrom('experiments.refit_starts')
    .selectAll()
    .where('run', '=', run)
    .where('configuration', '=', configurationKey(configuration))
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { iteration, width, item_ids, item_factors } = row;
  const factors = { itemIds: toIntegers(item_ids), itemFactors: toFloats(item_factors), width };
  return { factors, iteration };
}

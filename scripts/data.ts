/** Loads the source: a separate act, and only into one that is empty or was loaded by us. */

import { UsageError } from '../config/settings.ts';
import type { Connection } from '../database/connect.ts';
import { generateRatings } from '../data/generate.ts';
import { importMovieLens } from '../data/import-movielens.ts';
import { type Loaded, sourceState } from '../data/load.ts';
import { createCommand, integer, options, run } from './support/cli.ts';
import { withSource } from './support/database.ts';
import { print } from './support/night.ts';
import { showLoading } from './support/load-source.ts';

const load = createCommand('import', 'Load a MovieLens folder: ratings.csv and movies.csv.', [
  'npm run data -- import --data ../shared/data/ml-latest-small',
])
  .requiredOption('--data <folder>', 'folder of ratings.csv and movies.csv')
  .addOption(options.json())
  .action(({ data, json }: { data: string; json?: boolean }) =>
    withSource((source) =>
      report(source, json, (onProgress) => importMovieLens(source, data, { onProgress })),
    ),
  );

const generate = createCommand('generate', 'Generate ratings of a known low-rank truth, by a seed.', [
  'npm run data -- generate --ratings 100000 --seed 42',
])
  .option('--ratings <count>', 'how many', integer(1_000, 32_000_000), 100_000)
  .option('--seed <number>', 'the same seed gives the same ratings', integer(0, 2 ** 31 - 1), 42)
  .addOption(options.asOf())
  .addOption(options.json())
  .action((given: { ratings: number; seed: number; asOf?: string; json?: boolean }) => {
    const end = new Date(given.asOf ?? new Date().toISOString().slice(0, 10));
    return withSource((source) =>
      report(source, given.json, (onProgress) =>
        generateRatings(source, { ratings: given.ratings, seed: given.seed, end, onProgress }),
      ),
    );
  });

const status = createCommand('status', 'Show what the source holds.', ['npm run data -- status'])
  .addOption(options.json())
  .action(({ json }: { json?: boolean }) =>
    withSource(async (source) => {
      const state = await sourceState(source);
      const mark =
        state === 'ours'
          ? await source.db.selectFrom('movielens.loads').selectAll().executeTakeFirst()
          : undefined;
      const rows = state === 'empty' ? 0 : await countRatings(source);
      if (json === true) return print({ state, ...mark, rows });
      console.log(
        mark === undefined
          ? `the source is ${state}: ${rows.toLocaleString('en')} ratings`
          : `${mark.source}: ${mark.ratings.toLocaleString('en')} ratings of ${mark.movies.toLocaleString('en')} movies, loaded ${mark.loaded_at.toISOString()}; now ${rows.toLocaleString('en')} ratings`,
      );
    }),
  );

async function countRatings({ db }: Connection): Promise<number> {
  const { rows } = await db
    .selectFrom('movielens.ratings')
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  return rows;
}

async function report(
  source: Connection,
  json: boolean | undefined,
  fill: (onProgress: (what: string, rows: number) => void) => Promise<Loaded>,
): Promise<void> {
  if ((await sourceState(source)) === 'foreign') {
    throw new UsageError('the source holds ratings that Nightjar did not load; nothing was changed');
  }
  const loading = showLoading(process.stderr);
  const loaded = await fill(loading.update).finally(loading.done);
  if (json === true) return print(loaded);
  console.log(
    `loaded ${loaded.ratings.toLocaleString('en')} ratings of ${loaded.movies.toLocaleString('en')} movies`,
  );
}

await run(createCommand('data', 'Load the source.').addCommand(load).addCommand(generate).addCommand(status));

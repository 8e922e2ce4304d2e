/** Loads the source: a separate act, and only into one that is empty or was loaded by us. */

import { Argument } from 'commander';
import { UsageError } from '../config/settings.ts';
import type { Connection } from '../database/connect.ts';
import { type Generated, generateRatings } from '../data/generate.ts';
import { checkMovieLens, importMovieLens } from '../data/import-movielens.ts';
import { type LoadOptions, type Loaded, sourceState } from '../data/load.ts';
import { SET_NAMES, type SetName } from '../data/movielens/download.ts';
import { createCommand, integer, oneOf, options, run } from './support/cli.ts';
import { withSource } from './support/database.ts';
import { dataOptions, obtainSet } from './support/movielens.ts';
import { print } from './support/night.ts';
import { showLoading } from './support/show-loading.ts';
import { untilStopped } from './support/until-stopped.ts';

const load = createCommand(
  'import',
  'Load a published MovieLens set: ratings.csv (ml-latest, ml-20m on), ratings.dat (ml-1m, ml-10m) or u.data (ml-100k).',
  [
    'npm run data -- import --data ../shared/data/ml-latest-small',
    'npm run data -- import --data ~/Downloads/ml-25m.zip',
    'npm run data -- import --movielens ml-1m',
  ],
)
  .addOption(dataOptions.data())
  .addOption(dataOptions.movielens())
  .addOption(options.json())
  .action(async ({ data, movielens, json }: { data?: string; movielens?: SetName; json?: boolean }) => {
    const signal = untilStopped().signal('stopped; the source is as it was');
    const path = movielens === undefined ? data : await obtainSet(movielens, signal);
    if (path === undefined) throw new UsageError('expected --data PATH or --movielens NAME');
    await checkMovieLens(path);
    await withSource((source) =>
      report(json, (onProgress) => importMovieLens(source, path, { signal, onProgress })),
    );
  });

const download = createCommand(
  'download',
  'Download a published MovieLens set into the cache of this machine, and print its path.',
  ['npm run data -- download ml-25m'],
)
  .addArgument(new Argument('<name>', SET_NAMES.join(', ')).argParser(oneOf(SET_NAMES)))
  .addOption(options.json())
  .action(async (name: SetName, { json }: { json?: boolean }) => {
    const path = await obtainSet(name, untilStopped().signal('stopped; what came is kept'));
    if (json === true) return print({ name, path });
    console.log(path);
  });

const generate = createCommand('generate', 'Generate ratings of a known low-rank truth, by a seed.', [
  'npm run data -- generate --ratings 100000 --seed 42',
])
  .option('--ratings <count>', 'how many', integer(1_000, 32_000_000), 100_000)
  .option('--seed <number>', 'the same seed gives the same ratings', integer(0, 2 ** 31 - 1), 42)
  .addOption(options.asOf())
  .addOption(options.json())
  .action((given: { ratings: number; seed: number; asOf?: string; json?: boolean }) => {
    const end = new Date(given.asOf ?? new Date().toISOString().slice(0, 10));
    const { ratings, seed } = given;
    const signal = untilStopped().signal('stopped; the source is as it was');
    return withSource((source) =>
      report(given.json, (onProgress) => generateRatings(source, { signal, onProgress, ratings, seed, end })),
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

/** Loads with progress, and says what came of it. */
async function report(
  json: boolean | undefined,
  load: (onProgress: LoadOptions['onProgress']) => Promise<Loaded | Generated>,
): Promise<void> {
  const loading = showLoading(process.stderr);
  const loaded = await load(loading.update).finally(loading.done);
  const { ratings, movies } = loaded;
  const truth = 'truthRmse' in loaded ? loaded.truthRmse : null;
  if (json === true) return print({ ratings, movies, ...(truth === null ? {} : { truth_rmse: truth }) });
  console.log(`loaded ${ratings.toLocaleString('en')} ratings of ${movies.toLocaleString('en')} movies`);
  if (truth !== null) console.log(`RMSE of the truth that they are drawn from: ${truth.toFixed(4)}`);
}

await run(
  createCommand('data', 'Load the source.')
    .addCommand(load)
    .addCommand(download)
    .addCommand(generate)
    .addCommand(status),
);

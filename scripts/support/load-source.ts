import { basename, resolve } from 'node:path';
import { UsageError } from '../../config/settings.ts';
import { connect } from '../../database/connect.ts';
import { generateRatings } from '../../data/generate.ts';
import { describeFolder, importMovieLens } from '../../data/import-movielens.ts';
import { sourceState } from '../../data/load.ts';
import { showLoading } from './show-loading.ts';

/** Enough to see every stage at work, in a second. */
const GENERATED_RATINGS = 100_000;

/**
 * Loads the folder that was asked for, unless the source holds it already; without one generates ratings where
 * the source is empty.
 */
export async function loadWhereEmpty(
  url: string,
  folder: string | undefined,
  say: (line: string) => void,
): Promise<void> {
  const source = connect({ url, applicationName: 'nightjar-loader', max: 2 });
  try {
    const state = await sourceState(source);
    if (folder === undefined) {
      if (state !== 'empty') return;
      const end = new Date(new Date().toISOString().slice(0, 10));
      const loading = showLoading(process.stderr);
      const { ratings, movies } = await generateRatings(source, {
        ratings: GENERATED_RATINGS,
        seed: 42,
        end,
        onProgress: loading.update,
      }).finally(loading.done);
      say(`generated ${ratings.toLocaleString('en')} ratings of ${movies.toLocaleString('en')} movies`);
      return;
    }
    if (state === 'foreign')
      throw new UsageError(`--data ${folder}: the source holds ratings that Nightjar did not load`);
    const path = resolve(folder);
    if (state === 'ours') {
      const mark = await source.db.selectFrom('movielens.loads').selectAll().executeTakeFirstOrThrow();
      if (mark.source === describeFolder(path)) {
        say(`the source holds ${basename(path)} already: ${mark.ratings.toLocaleString('en')} ratings`);
        return;
      }
    }
    const loading = showLoading(process.stderr);
    const { ratings, movies } = await importMovieLens(source, path, { onProgress: loading.update }).finally(
      loading.done,
    );
    say(
      `imported ${ratings.toLocaleString('en')} ratings of ${movies.toLocaleString('en')} movies from ${path}`,
    );
  } finally {
    await source.close();
  }
}

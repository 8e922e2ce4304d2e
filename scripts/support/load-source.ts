import { resolve } from 'node:path';
import { connect } from '../../database/connect.ts';
import { generateRatings } from '../../data/generate.ts';
import { checkMovieLens, importMovieLens } from '../../data/import-movielens.ts';
import { refuseForeign, sourceState } from '../../data/load.ts';
import { showLoading } from './show-loading.ts';

/** Enough to see every stage at work, in a second. */
const GENERATED_RATINGS = 100_000;

/**
 * Loads the published set that was asked for, unless the source holds it already; without one generates ratings where
 * the source is empty.
 * @param set path of a folder or zip
 */
export async function loadWhereEmpty(
  url: string,
  set: string | undefined,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const source = connect({ url, applicationName: 'nightjar-loader', max: 2 });
  const loading = showLoading(process.stderr);
  const options = { signal, onProgress: loading.update };
  try {
    const state = await sourceState(source);
    if (set === undefined) {
      if (state !== 'empty') return;
      const end = new Date(new Date().toISOString().slice(0, 10));
      const { ratings, movies } = await generateRatings(source, {
        ratings: GENERATED_RATINGS,
        seed: 42,
        end,
        ...options,
      }).finally(loading.done);
      say(`generated ${ratings.toLocaleString('en')} ratings of ${movies.toLocaleString('en')} movies`);
      return;
    }
    await refuseForeign(source);
    const path = resolve(set);
    if (state === 'ours') {
      const mark = await source.db.selectFrom('movielens.loads').selectAll().executeTakeFirstOrThrow();
      if (mark.source === (await checkMovieLens(path))) {
        say(`the source holds ${path} already: ${mark.ratings.toLocaleString('en')} ratings`);
        return;
      }
    }
    const { ratings, movies } = await importMovieLens(source, path, options).finally(loading.done);
    say(
      `imported ${ratings.toLocaleString('en')} ratings of ${movies.toLocaleString('en')} movies from ${path}`,
    );
  } finally {
    await source.close();
  }
}

import { join } from 'node:path';
import { Option } from 'commander';
import { cacheDirectory } from '../../config/cache.ts';
import { UsageError } from '../../config/settings.ts';
import { OFFICIAL_SITE, SET_NAMES, type SetName, downloadSet } from '../../data/movielens/download.ts';
import { oneOf } from './cli.ts';
import { showLoading } from './show-loading.ts';

/** How a command names what it loads. */
export const dataOptions = {
  data: () => new Option('--data <path>', 'a MovieLens folder, or its zip as it was downloaded'),
  movielens: () =>
    new Option('--movielens <name>', `a published set, downloaded once: ${SET_NAMES.join(', ')}`)
      .argParser(oneOf(SET_NAMES))
      .conflicts('data'),
};

/**
 * The zip of a published set, downloaded into this machine's cache where it is not there yet.
 * @throws UsageError where `NIGHTJAR_MOVIELENS_URL` is no URL
 */
export async function obtainSet(name: SetName, signal: AbortSignal): Promise<string> {
  const site = process.env.NIGHTJAR_MOVIELENS_URL || OFFICIAL_SITE;
  if (!/^https?:$/.test(URL.parse(site)?.protocol ?? ''))
    throw new UsageError('NIGHTJAR_MOVIELENS_URL: expected an http or https URL');
  const loading = showLoading(process.stderr);
  const folder = join(cacheDirectory(process.env), 'movielens');
  return downloadSet(name, { folder, site, signal, onProgress: loading.update }).finally(loading.done);
}

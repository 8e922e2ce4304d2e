/** What a measured night reads: made once, kept from call to call as a database of its own. */

import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import { sql } from 'kysely';
import { connect } from '../../database/connect.ts';
import { generateRatings } from '../../data/generate.ts';
import { checkMovieLens, importMovieLens } from '../../data/import-movielens.ts';
import { showLoading } from '../support/show-loading.ts';
import { type NightServers, databaseExists, dropDatabase } from './servers.ts';

/** Newest rating of what is generated; the first night's as-of is two hours later, the next one's a day after that. */
export const NEWEST_RATING = new Date('2026-01-01T00:00:00Z');
const SEED = 42;

/** What is to be read: so many generated ratings, or a MovieLens folder. */
export type WantedSource = { ratings: number } | { data: string };

/** @throws UsageError where a folder is none of MovieLens */
export async function checkSource(wanted: WantedSource): Promise<void> {
  if ('data' in wanted) await checkMovieLens(wanted.data);
}

/**
 * The database that holds the source: one of an earlier call, or made now.
 * @param fresh makes it anew
 */
export async function findSource(
  { admin, urlOf }: NightServers,
  wanted: WantedSource,
  { fresh, say }: { fresh: boolean; say: (line: string) => void },
): Promise<string> {
  const name = await nameOf(wanted);
  if (fresh) await dropDatabase(admin.db, name);
  if (await databaseExists(admin.db, name)) {
    say(`source: ${name}, made by an earlier call`);
    return name;
  }
  const partial = `${name}_partial`;
  await dropDatabase(admin.db, partial);
  await sql`create database ${sql.id(partial)}`.execute(admin.db);
  const source = connect({ url: urlOf(partial), applicationName: 'nightjar-loader', max: 2 });
  const loading = showLoading(process.stderr);
  const began = performance.now();
  try {
    const { ratings } = await (
      'data' in wanted
        ? importMovieLens(source, resolve(wanted.data), { onProgress: loading.update })
        : generateRatings(source, {
            ratings: wanted.ratings,
            seed: SEED,
            end: NEWEST_RATING,
            onProgress: loading.update,
          })
    ).finally(loading.done);
    // As a source is that has been there for a while: each night would else be the first to visit its pages.
    await sql`vacuum (freeze, analyze) movielens.ratings, movielens.movies`.execute(source.db);
    say(
      `source: ${name}, ${ratings.toLocaleString('en')} ratings made in ${((performance.now() - began) / 1000).toFixed(1)} s`,
    );
  } finally {
    await source.close();
  }
  await sql`alter database ${sql.id(partial)} rename to ${sql.id(name)}`.execute(admin.db);
  return name;
}

async function nameOf(wanted: WantedSource): Promise<string> {
  if ('ratings' in wanted) return `source_${wanted.ratings}`;
  const path = resolve(wanted.data);
  const mark = createHash('sha256')
    .update(`${path}\n${await checkMovieLens(path)}`)
    .digest('hex')
    .slice(0, 8);
  return `source_${basename(path)
    .replaceAll(/[^a-zA-Z0-9]+/g, '_')
    .slice(0, 40)}_${mark}`;
}

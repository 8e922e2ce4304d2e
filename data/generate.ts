/** Deterministic MovieLens-shaped ratings with a known low-rank truth, straight into the source. */

import { setImmediate } from 'node:timers/promises';
import { UsageError } from '../config/settings.ts';
import type { Connection } from '../database/connect.ts';
import { copyIn } from '../database/copy.ts';
import { createRatingDraw } from './draw-ratings.ts';
import { type LoadOptions, type Loaded, replaceSource } from './load.ts';
import { createTitles } from './titles.ts';
import { writeRatings } from './write-ratings.ts';

export interface GenerateOptions extends LoadOptions {
  ratings: number;
  seed: number;
  /** Newest instant: nothing is rated later. The same seed and end give the same data. */
  end: Date;
}

export interface Generated extends Loaded {
  /** RMSE of the ratings against their own truth: what noise leaves to the best of models. */
  truthRmse: number;
}

const LARGEST = 32_000_000;

/**
 * Generates into the source: one thread draws while PostgreSQL writes what was drawn before. More of either would
 * not help on two processors, and only one connection can fill a table that its own transaction has emptied, which
 * is what makes the load all or nothing, and free of WAL where `wal_level` allows.
 * @throws UsageError where the number of ratings is out of range
 */
export async function generateRatings(source: Connection, options: GenerateOptions): Promise<Generated> {
  const { ratings, seed, end, signal, onProgress } = options;
  if (!Number.isInteger(ratings) || ratings < 1_000 || ratings > LARGEST) {
    throw new UsageError(
      `--ratings ${ratings}: expected a whole number from 1,000 to ${LARGEST.toLocaleString('en')}`,
    );
  }
  return replaceSource(
    source,
    `generate ratings=${ratings} seed=${seed} end=${end.toISOString()}`,
    async (session) => {
      const draw = createRatingDraw({ ratings, seed, end: Math.floor(end.getTime() / 1000) });
      const movies = await copyIn(
        session.client,
        { table: 'movielens.movies', columns: ['movie_id', 'title', 'genres'] },
        createTitles(draw.shape.movies, seed),
      );
      const fills = async function* (): AsyncGenerator<number> {
        let drawn = 0;
        for (const rows of draw.fills) {
          // A turn of the event loop for signals and timers, which a socket that takes everything never gives.
          await setImmediate();
          yield rows;
          drawn += rows;
          onProgress?.({ what: 'ratings', done: drawn, share: drawn / ratings });
        }
      };
      const count = await writeRatings(session, draw.block, fills(), signal);
      return { ratings: count, movies, truthRmse: draw.truthRmse() };
    },
    options,
  );
}

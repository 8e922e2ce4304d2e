/** A movie's neighbours. */

import { similarTo } from '../database/readers.ts';
import { createCommand, integer, options, run } from './support/cli.ts';
import { withDatabase } from './support/database.ts';
import { print } from './support/night.ts';
import { metric, table } from './support/table.ts';

await run(
  createCommand('similar', 'Show the movies most similar to a movie.', ['npm run similar -- --movie 1'])
    .requiredOption('--movie <id>', 'movie_id', integer(-2147483648, 2147483647))
    .option('--limit <rows>', 'how many', integer(1, 100), 10)
    .addOption(options.json())
    .action(({ movie, limit, json }: { movie: number; limit: number; json?: boolean }) =>
      withDatabase(async (connection) => {
        const list = await similarTo(connection, movie, limit);
        if (list.length === 0) {
          throw new Error(
            `movie ${movie} has no neighbours: nothing is published yet, or it is unknown or too rarely rated`,
          );
        }
        if (json === true) return print(list);
        console.log(
          table(
            ['', 'movie', 'title', 'similarity'],
            list.map((row) => [row.rank, row.similar_movie_id, row.title, metric(row.similarity)]),
          ),
        );
      }),
    ),
);

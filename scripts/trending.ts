/** What is rated most of late. */

import { trendingNow } from '../database/readers.ts';
import { createCommand, integer, options, run } from './support/cli.ts';
import { withDatabase } from './support/database.ts';
import { print } from './support/night.ts';
import { metric, table } from './support/table.ts';

await run(
  createCommand('trending', 'Show the trending movies.', ['npm run trending -- --limit 10'])
    .option('--limit <rows>', 'how many', integer(1, 1000), 20)
    .addOption(options.json())
    .action(({ limit, json }: { limit: number; json?: boolean }) =>
      withDatabase(async ({ db }) => {
        const list = await trendingNow(db, limit);
        if (json === true) return print(list);
        console.log(
          table(
            ['', 'movie', 'title', 'recent', 'of all', 'share', 'average'],
            list.map((row) => [
              row.rank,
              row.movie_id,
              row.title,
              row.recent_ratings,
              row.total_ratings,
              metric(row.trending_score),
              row.recent_avg_rating.toFixed(2),
            ]),
          ),
        );
      }),
    ),
);

/** A user's recommendations, as readers get them or computed again from the exported factors. */

import { recommendationsFor, recommendationsFromFactors } from '../database/readers.ts';
import { createCommand, integer, options, run } from './support/cli.ts';
import { withDatabase } from './support/database.ts';
import { print } from './support/night.ts';
import { metric, table } from './support/table.ts';

interface RecommendOptions {
  user: number;
  limit: number;
  fromFactors?: boolean;
  json?: boolean;
}

await run(
  createCommand('recommend', 'Show what is recommended to a user.', [
    'npm run recommend -- --user 42',
    'npm run recommend -- --user 42 --from-factors --limit 5',
  ])
    .requiredOption('--user <id>', 'user_id', integer(-2147483648, 2147483647))
    .option('--limit <rows>', 'how many', integer(1, 1000), 20)
    .option('--from-factors', 'compute the list again from the exported factors')
    .addOption(options.json())
    .action(({ user, limit, fromFactors, json }: RecommendOptions) =>
      withDatabase(async (connection) => {
        const list =
          fromFactors === true
            ? await recommendationsFromFactors(connection.db, user, limit)
            : await recommendationsFor(connection, user, limit);
        if (list.length === 0) {
          throw new Error(
            fromFactors === true
              ? `user ${user} has no factors in the published version; without --from-factors the fallback list is shown`
              : 'nothing is published yet: npm run nightly',
          );
        }
        if (json === true) return print(list);
        console.log(
          table(
            ['', 'movie', 'title', 'genres', 'score', 'from'],
            list.map((row) => [
              row.rank,
              row.movie_id,
              row.title,
              row.genres,
              row.predicted_score === null ? '' : metric(row.predicted_score),
              row.provenance,
            ]),
          ),
        );
        console.log(list[0].model_version);
      }),
    ),
);

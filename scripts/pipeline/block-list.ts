import { UsageError } from '../../config/settings.ts';
import { blockMovie, blockedMovies, unblockMovie } from '../../database/block-list.ts';
import { decisionOptions } from '../support/actor.ts';
import { createCommand, integer, options } from '../support/cli.ts';
import { withDatabase } from '../support/database.ts';
import { print } from '../support/night.ts';
import { table } from '../support/table.ts';

const MOVIE = 'movie_id';
const movieId = integer(1, 2_147_483_647);

interface BlockOptions {
  movie: number;
  reason: string;
  actor: string;
  json?: boolean;
}

export const blockCommand = createCommand(
  'block',
  'Keep a movie out of every list, at once; the next night fills its places.',
  ['npm run pipeline -- block --movie 296 --reason "rights have ended"'],
)
  .requiredOption('--movie <id>', MOVIE, movieId)
  .addOption(decisionOptions.reason().makeOptionMandatory())
  .addOption(decisionOptions.actor())
  .addOption(options.json())
  .action(({ movie, reason, actor, json = false }: BlockOptions) =>
    withDatabase(async ({ db }) => {
      const added = await blockMovie(db, { movie_id: movie, reason, actor });
      if (json) return print({ movie_id: movie, blocked: true, changed: added });
      console.log(
        added
          ? `movie ${movie} is in no list any more; lists are shorter by it until the next night`
          : `movie ${movie} is blocked already: nothing changed`,
      );
    }),
  );

export const unblockCommand = createCommand(
  'unblock',
  'Let a movie stand in lists again: at once where it still does, else from the next night.',
  ['npm run pipeline -- unblock --movie 296 --reason "rights are renewed"'],
)
  .requiredOption('--movie <id>', MOVIE, movieId)
  .addOption(decisionOptions.reason())
  .addOption(decisionOptions.actor())
  .addOption(options.json())
  .action(({ movie, reason, actor, json = false }: Omit<BlockOptions, 'reason'> & { reason?: string }) =>
    withDatabase(async ({ db }) => {
      const lifted = await unblockMovie(db, { movie_id: movie, reason: reason ?? null, actor });
      if (!lifted)
        throw new UsageError(`--movie ${movie}: it is not blocked; npm run pipeline -- blocked lists those`);
      if (json) return print({ movie_id: movie, blocked: false, changed: true });
      console.log(`movie ${movie} may stand in lists again`);
    }),
  );

export const blockedCommand = createCommand('blocked', 'Show the movies that are kept out of every list.', [
  'npm run pipeline -- blocked',
  'npm run pipeline -- blocked --all --json',
])
  .option('--all', 'those that were let in again too', false)
  .addOption(options.json())
  .action(({ all, json = false }: { all: boolean; json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const blocked = await blockedMovies(db, { lifted: all });
      if (json) return print(blocked);
      console.log(
        table(
          ['movie', 'title', 'since', 'by', 'reason', ...(all ? ['until'] : [])],
          blocked.map((row) => [
            row.movie_id,
            row.title,
            row.since.toISOString(),
            row.actor,
            row.reason,
            ...(all ? [row.lifted_at?.toISOString()] : []),
          ]),
        ),
      );
    }),
  );

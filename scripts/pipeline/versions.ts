import { keptVersions } from '../../database/readers.ts';
import { createCommand, options } from '../support/cli.ts';
import { withDatabase } from '../support/database.ts';
import { print } from '../support/night.ts';
import { metric, table } from '../support/table.ts';

export const versionsCommand = createCommand(
  'versions',
  'Show the model versions that are kept, with their metrics, which one serves and which are of the champion.',
  ['npm run pipeline -- versions'],
)
  .addOption(options.json())
  .action(({ json }: { json?: boolean }) =>
    withDatabase(async ({ db }) => {
      const kept = await keptVersions(db);
      if (json === true) return print(kept);
      console.log(
        table(
          [
            '',
            'version',
            'run',
            'as-of',
            'configuration',
            'RMSE',
            'MAE',
            'P@10',
            'NDCG@10',
            'coverage',
            'published',
          ],
          kept.map((row) => [
            row.served ? '→' : '',
            row.model_version,
            row.run,
            row.as_of.toISOString(),
            `${row.configuration}${row.champion ? ' (champion)' : ''}`,
            ...[row.rmse, row.mae, row.precision_at_10, row.ndcg_at_10, row.coverage].map(metric),
            row.published_at?.toISOString(),
          ]),
        ),
      );
      const served = kept.find((row) => row.served);
      if (served === undefined) return;
      console.log(`served: ${served.model_version}, since ${served.served_since?.toISOString()}`);
      console.log(
        `champion: ${served.configuration}, since ${served.champion_since?.toISOString() ?? 'an earlier night'}`,
      );
    }),
  );

import { copyOut } from '../../database/copy.ts';
import { readFactorRows } from '../../database/copy-binary.ts';
import type { Connection } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import { type Model, exportedWidth } from '../../recommender/index.ts';
import { readSelection } from '../selection/result.ts';

/**
 * Loads the model version of a run from its stored factors, by COPY straight into typed arrays.
 * @throws where the run has no trained version
 */
export async function loadModel(connection: Connection, run: number, signal: AbortSignal): Promise<Model> {
  const { parameters } = await readSelection(connection.db, run);
  const rank = exportedWidth(parameters);
  const { global_mean } = await connection.db
    .selectFrom('models.metadata')
    .select('global_mean')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const load = (table: 'store.user_factors' | 'store.item_factors', id: string) =>
    transaction(
      connection,
      ({ client }) => {
        const partition = partitionName(table, run);
        const stream = copyOut(client, `select ${id}, factors from ${partition} order by ${id}`);
        return readFactorRows(stream, rank);
      },
      { signal },
    );
  const [users, items] = await Promise.all([
    load('store.user_factors', 'user_id'),
    load('store.item_factors', 'movie_id'),
  ]);
  return {
    configuration: parameters,
    rank,
    mean: global_mean ?? 0,
    userIds: users.ids,
    itemIds: items.ids,
    userFactors: users.factors,
    itemFactors: items.factors,
  };
}

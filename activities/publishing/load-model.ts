import { copyOut } from '../../database/copy.ts';
import { readFactorRows } from '../../database/copy-binary.ts';
import type { Connection } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import { type Model, exportedWidth } from '../../recommender/index.ts';
import { readSelection } from '../selection/result.ts';
import type { BuiltInput } from '../training/kept-input.ts';
import { REFIT_STAGE } from '../training/refit-model.ts';

/**
 * The model version of a run: what its refit has left beside the matrix where that attempt is the last that stored one, else
 * what is stored.
 * @throws where the run has no trained version
 */
export async function modelBeside(
  { refitted }: BuiltInput,
  connection: Connection,
  run: number,
  signal: AbortSignal,
): Promise<Model> {
  const stored = await connection.db
    .selectFrom('pipeline.stages')
    .select('token')
    .where('run', '=', run)
    .where('stage', '=', REFIT_STAGE)
    .executeTakeFirst();
  if (refitted !== undefined && refitted.token === stored?.token) return refitted.model;
  return loadModel(connection, run, signal);
}

/** From its stored factors, by COPY straight into typed arrays. */
async function loadModel(connection: Connection, run: number, signal: AbortSignal): Promise<Model> {
  const [model, users] = await Promise.all([
    loadItems(connection, run, signal),
    loadFactors(connection, run, 'user', signal),
  ]);
  return { ...model, userIds: users.ids, userFactors: users.factors };
}

/** The same without its users: what others are folded into. */
export async function loadItems(connection: Connection, run: number, signal: AbortSignal): Promise<Model> {
  const { parameters } = await readSelection(connection.db, run);
  const { global_mean } = await connection.db
    .selectFrom('models.metadata')
    .select('global_mean')
    .where('run', '=', run)
    .executeTakeFirstOrThrow();
  const items = await loadFactors(connection, run, 'item', signal);
  return {
    configuration: parameters,
    rank: exportedWidth(parameters),
    mean: global_mean ?? 0,
    userIds: new Int32Array(0),
    itemIds: items.ids,
    userFactors: new Float32Array(0),
    itemFactors: items.factors,
  };
}

async function loadFactors(
  connection: Connection,
  run: number,
  side: 'user' | 'item',
  signal: AbortSignal,
): Promise<{ ids: Int32Array; factors: Float32Array }> {
  const { parameters } = await readSelection(connection.db, run);
  const id = side === 'user' ? 'user_id' : 'movie_id';
  const partition = partitionName(`store.${side}_factors`, run);
  return transaction(
    connection,
    ({ client }) => {
      const stream = copyOut(client, `select ${id}, factors from ${partition} order by ${id}`);
      return readFactorRows(stream, exportedWidth(parameters));
    },
    { signal },
  );
}

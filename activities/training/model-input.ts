import { copyOut } from '../../database/copy.ts';
import { readFixedColumns } from '../../database/copy-binary.ts';
import type { Connection } from '../../database/connect.ts';
import { transaction } from '../../database/session.ts';
import { partitionName } from '../../database/versions.ts';
import type { RatingTriples } from '../../recommender/index.ts';

/**
 * Loads the snapshot of a run by COPY straight into typed arrays: 12 bytes a rating.
 * @throws where the snapshot is gone, or holds another number of rows than when it was written
 */
export async function loadSnapshot(
  connection: Connection,
  run: number,
  signal: AbortSignal,
): Promise<RatingTriples> {
  const snapshot = await connection.db
    .selectFrom('silver.snapshots')
    .select('silver_ratings')
    .where('run', '=', run)
    .executeTakeFirst();
  if (snapshot === undefined) throw new Error(`run ${run} has no snapshot: stage silver has not written one`);
  return transaction(
    connection,
    async ({ client }) => {
      const stream = copyOut(
        client,
        `select user_id, movie_id, rating from ${partitionName('silver.ratings', run)}`,
      );
      const [users, items, ratings] = await readFixedColumns(
        stream,
        ['int4', 'int4', 'float4'],
        snapshot.silver_ratings,
      );
      return { users: users as Int32Array, items: items as Int32Array, ratings: ratings as Float32Array };
    },
    { signal },
  );
}

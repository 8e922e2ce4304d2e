import { sql } from 'kysely';
import { readBlockedAt } from '../../database/block-list.ts';
import { attachPartition, createDetachedPartition, createPartitionAs } from '../../database/versions.ts';
import { recommendTopN } from '../../recommender/index.ts';
import { loadRun } from '../support/run.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { withSnapshotMatrix } from '../training/snapshot-matrix.ts';
import { loadModel } from './load-model.ts';
import { writeLists } from './write-lists.ts';

export interface ScoreResult extends StageResult {
  users: number;
}

/** 20 lists each are 400,000 rows, a second of COPY: what a crash may cost, and what one chunk holds in memory. */
const USERS_PER_CHUNK = 20_000;

/** The exact top of the list for every user of the snapshot, and the catalogue as it is shown with it. */
export function scoreRecommendations(
  dependencies: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<ScoreResult> {
  const { connection, threads } = dependencies;
  return runStage(connection, { run, stage: 'recommendations', signal }, async (attempt) => {
    const { settings, startedAt } = await loadRun(connection.db, run);
    const excluded = await readBlockedAt(connection.db, startedAt);
    const { perUser, excludeRated, minimumRatings } = settings.recommendations;
    report({ step: 'loading the model' });
    const model = await loadModel(connection, run, signal);
    await attempt.write(({ db }) => createDetachedPartition(db, 'store.batch_recs', run));
    const finished = await attempt.finishedChunks();
    const users = model.userIds.length;
    await withSnapshotMatrix(dependencies, { run, part: 'whole' }, signal, async (ratings) => {
      // One chunk is written while the next one is scored; no more than two are in memory.
      let writing: Promise<unknown> = Promise.resolve();
      try {
        for (let from = 0; from < users; from += USERS_PER_CHUNK) {
          const chunk = `users ${from}`;
          if (finished.has(chunk)) continue;
          report({ step: 'scoring users', done: from, total: users });
          const lists = await recommendTopN(model, {
            n: perUser,
            ratings,
            excludeRated,
            minimumRatings,
            excluded,
            users: [from, Math.min(users, from + USERS_PER_CHUNK)],
            threads,
            signal,
          });
          await writing;
          writing = attempt.writeChunk(chunk, (session) =>
            writeLists(
              session,
              run,
              { table: 'store.batch_recs', columns: ['user_id', 'movie_id', 'predicted_score'] },
              lists,
            ),
          );
          // Seen at the next chunk or below; until then it is nobody's.
          writing.catch(() => undefined);
        }
      } finally {
        await writing;
      }
    });
    report({ step: 'indexing' });
    return attempt.finish(async ({ db }) => {
      await attachPartition(db, 'store.batch_recs', run);
      await createPartitionAs(
        db,
        'store.movies',
        run,
        db
          .selectFrom('silver.movies')
          .where('run', '=', sql.lit(run))
          .select(['run', 'movie_id', 'title', 'genres']),
      );
      const rows = [...(await attempt.finishedChunks(db)).values()].reduce((sum, count) => sum + count, 0);
      return { rows, users };
    });
  });
}

import { readBlockedAt } from '../../database/block-list.ts';
import { attachPartition, createDetachedPartition } from '../../database/versions.ts';
import { similarItems } from '../../recommender/index.ts';
import { type ActivityDependencies, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { withSnapshotMatrix } from '../training/snapshot-matrix.ts';
import { modelBeside } from './load-model.ts';
import { writeLists } from './write-lists.ts';

/** For every rated movie its nearest by the cosine of their factors. */
export function computeSimilarMovies(
  dependencies: ActivityDependencies,
  { run }: RunReference,
  { signal, report }: Heartbeat,
): Promise<StageResult> {
  const { connection, threads } = dependencies;
  return runStage(connection, { run, stage: 'similar-movies', signal }, async (attempt) => {
    const { settings, startedAt } = await loadRun(connection.db, run);
    const excluded = await readBlockedAt(connection.db, startedAt);
    report({ step: 'loading the model' });
    const lists = await withSnapshotMatrix(dependencies, { run, part: 'whole' }, signal, async (built) => {
      const model = await modelBeside(built, connection, run, signal);
      report({ step: 'comparing movies', total: model.itemIds.length });
      return similarItems(model, {
        n: settings.similar.perMovie,
        ratings: built.matrix,
        minimumRatings: settings.similar.minimumRatings,
        excluded,
        threads,
        signal,
      });
    });
    return attempt.finish(async (session) => {
      await createDetachedPartition(session.db, 'store.similar_movies', run);
      const rows = await writeLists(
        session,
        run,
        { table: 'store.similar_movies', columns: ['movie_id', 'similar_movie_id', 'similarity'] },
        lists,
      );
      await attachPartition(session.db, 'store.similar_movies', run);
      return { rows };
    });
  });
}

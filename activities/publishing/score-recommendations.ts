import { sql } from 'kysely';
import { readBlockedAt } from '../../database/block-list.ts';
import { attachPartition, createDetachedPartition, createPartitionAs } from '../../database/versions.ts';
import { type Model, recommendTopN } from '../../recommender/index.ts';
import { loadRun } from '../support/run.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import { type StageAttempt, type StageResult, runStage } from '../support/stage.ts';
import type { Heartbeat } from '../support/with-heartbeat.ts';
import { withSnapshotMatrix } from '../training/snapshot-matrix.ts';
import { modelBeside } from './load-model.ts';
import { writeLists } from './write-lists.ts';

export interface ScoreResult extends StageResult {
  users: number;
}

/** 20 lists each are 400,000 rows, a second of COPY: what a crash may cost, and what one chunk holds in memory. */
const USERS_PER_CHUNK = 20_000;

/** Where lists go. */
const LISTS: Parameters<typeof writeLists>[2] = {
  table: 'store.batch_recs',
  columns: ['user_id', 'movie_id', 'predicted_score'],
};

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
    const options = { n: perUser, excludeRated, minimumRatings, excluded, threads, signal };
    report({ step: 'loading the model' });
    await attempt.write(({ db }) => createDetachedPartition(db, 'store.batch_recs', run));
    const users = await withSnapshotMatrix(dependencies, { run, part: 'whole' }, signal, async (built) => {
      const model = await modelBeside(built, connection, run, signal);
      await scoreUsers(attempt, model, { ...options, ratings: built.matrix }, report);
      return model.userIds.length;
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

/** Scores and writes the chunks that are missing: one is written while the next is scored, so that two are in memory. */
async function scoreUsers(
  attempt: StageAttempt,
  model: Model,
  options: Omit<Parameters<typeof recommendTopN>[1], 'users'>,
  report: Heartbeat['report'],
): Promise<void> {
  const finished = await attempt.finishedChunks();
  const total = model.userIds.length;
  let writing: Promise<unknown> = Promise.resolve();
  try {
    for (let from = 0; from < total; from += USERS_PER_CHUNK) {
      const chunk = `users ${from}`;
      if (finished.has(chunk)) continue;
      report({ step: 'scoring users', done: from, total });
      const users: [number, number] = [from, Math.min(total, from + USERS_PER_CHUNK)];
      const lists = await recommendTopN(model, { ...options, users });
      await writing;
      writing = attempt.writeChunk(chunk, (session) => writeLists(session, attempt.run, LISTS, lists));
      // Seen at the next chunk or below; until then it is nobody's.
      writing.catch(() => undefined);
    }
  } finally {
    await writing;
  }
}

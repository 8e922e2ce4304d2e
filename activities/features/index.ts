import type { Connection, Db } from '../../database/connect.ts';
import { type Session, setLocal } from '../../database/session.ts';
import { imageOf } from '../../database/snapshots.ts';
import { type VersionedTable, createPartitionAs } from '../../database/versions.ts';
import { followedBy } from '../ingestion/batch.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';
import { movieFeatures } from './movie-features.ts';
import { userFeatures } from './user-features.ts';
import { allPreferences, preferencesAfter, preferencesToFollow } from './user-genre-preferences.ts';

export type FeatureActivities = ReturnType<typeof createFeatureActivities>;

type Query = Parameters<typeof createPartitionAs>[3];

/** A definition: the query that gives a feature table's rows for a run. */
type Definition = (session: Session, run: Run, signal: AbortSignal) => Query | Promise<Query>;

/**
 * Of what little has changed one process makes features while the experiments begin: with two, readers would find no processor
 * free.
 */
async function leaveProcessor(db: Db, run: number): Promise<void> {
  if ((await followedBy(db, run)) !== null) await setLocal(db, { max_parallel_workers_per_gather: '0' });
}

/** What only the ratings tell, not their totals. */
async function preferences(
  connection: Connection,
  session: Session,
  context: Run,
  signal: AbortSignal,
): Promise<Query> {
  const { db } = session;
  const image = await imageOf(db, context.run);
  const follows = await preferencesToFollow(db, context.run);
  return follows === null
    ? allPreferences(connection, session, context, image, signal)
    : preferencesAfter(db, context, image, follows);
}

/** The feature store of a run's snapshot; readers see it when the run is published. */
export function createFeatureActivities({ connection }: ActivityDependencies) {
  const build =
    (stage: string, table: VersionedTable, definition: Definition) =>
    ({ run }: RunReference): Promise<StageResult> =>
      withHeartbeat(({ signal }) =>
        runStage(connection, { run, stage, signal }, async (attempt) => {
          const context = await loadRun(connection.db, run);
          return attempt.finish(async (session) => {
            await leaveProcessor(session.db, run);
            const query = await definition(session, context, signal);
            return { rows: await createPartitionAs(session.db, table, run, query) };
          });
        }),
      );
  return {
    buildUserFeatures: build('user-features', 'store.user_features', ({ db }, run) => userFeatures(db, run)),
    buildMovieFeatures: build('movie-features', 'store.movie_features', ({ db }, run) =>
      movieFeatures(db, run),
    ),
    buildUserGenrePreferences: build(
      'user-genre-preferences',
      'store.user_genre_preferences',
      (session, run, signal) => preferences(connection, session, run, signal),
    ),
  };
}

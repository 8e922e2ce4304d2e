import type { Session } from '../../database/session.ts';
import { imageOf } from '../../database/snapshots.ts';
import { type VersionedTable, createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';
import { movieFeatures } from './movie-features.ts';
import { userFeatures } from './user-features.ts';
import { preferencesByCopy, preferencesToFollow, userGenrePreferences } from './user-genre-preferences.ts';

export type FeatureActivities = ReturnType<typeof createFeatureActivities>;

type Query = Parameters<typeof createPartitionAs>[3];

/** A definition: the query that gives a feature table's rows for a run. */
type Definition = (session: Session, run: Run, signal: AbortSignal) => Query | Promise<Query>;

/** The feature store of a run's snapshot; readers see it when the run is published. */
export function createFeatureActivities(dependencies: ActivityDependencies) {
  const { connection } = dependencies;
  /** Not by totals: only the snapshot's ratings tell. */
  const preferences: Definition = async (session, context, signal) => {
    const { db } = session;
    const follows = await preferencesToFollow(db, context.run);
    const byCopy = follows === null ? await preferencesByCopy(dependencies, session, context, signal) : null;
    return byCopy ?? userGenrePreferences(db, context, await imageOf(db, context.run), follows);
  };
  const build =
    (stage: string, table: VersionedTable, definition: Definition) =>
    ({ run }: RunReference): Promise<StageResult> =>
      withHeartbeat(({ signal }) =>
        runStage(connection, { run, stage, signal }, async (attempt) => {
          const context = await loadRun(connection.db, run);
          return attempt.finish(async (session) => {
            const { db } = session;
            return {
              rows: await createPartitionAs(db, table, run, await definition(session, context, signal)),
            };
          });
        }),
      );
  return {
    buildUserFeatures: build('user-features', 'store.user_features', ({ db }, context) =>
      userFeatures(db, context),
    ),
    buildMovieFeatures: build('movie-features', 'store.movie_features', ({ db }, context) =>
      movieFeatures(db, context),
    ),
    buildUserGenrePreferences: build('user-genre-preferences', 'store.user_genre_preferences', preferences),
  };
}

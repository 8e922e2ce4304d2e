import type { Db } from '../../database/connect.ts';
import { type VersionedTable, createPartitionAs } from '../../database/versions.ts';
import { type ActivityDependencies, type Run, type RunReference, loadRun } from '../support/run.ts';
import { type StageResult, runStage } from '../support/stage.ts';
import { withHeartbeat } from '../support/with-heartbeat.ts';
import { movieFeatures } from './movie-features.ts';
import { userFeatures } from './user-features.ts';
import { userGenrePreferences } from './user-genre-preferences.ts';

export type FeatureActivities = ReturnType<typeof createFeatureActivities>;

/** A definition: the query that gives a feature table's rows for a run. */
type Definition = (db: Db, run: Run) => Parameters<typeof createPartitionAs>[3];

/** The feature store of a run's snapshot; readers see it when the run is published. */
export function createFeatureActivities({ connection }: ActivityDependencies) {
  const build =
    (stage: string, table: VersionedTable, definition: Definition) =>
    ({ run }: RunReference): Promise<StageResult> =>
      withHeartbeat(({ signal }) =>
        runStage(connection, { run, stage, signal }, async (attempt) => {
          const context = await loadRun(connection.db, run);
          return attempt.finish(async ({ db }) => ({
            rows: await createPartitionAs(db, table, run, definition(db, context)),
          }));
        }),
      );
  return {
    buildUserFeatures: build('user-features', 'store.user_features', userFeatures),
    buildMovieFeatures: build('movie-features', 'store.movie_features', movieFeatures),
    buildUserGenrePreferences: build(
      'user-genre-preferences',
      'store.user_genre_preferences',
      userGenrePreferences,
    ),
  };
}

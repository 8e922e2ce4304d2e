import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies, RunReference } from '../support/run.ts';
import type { StageResult } from '../support/stage.ts';
import { computeMovieStats } from './movie-stats.ts';
import { type PublishResult, publishVersion } from './publish-version.ts';
import { type RestoreVersionInput, type RollbackResult, restoreVersion } from './restore-version.ts';
import { type RetireResult, retireVersions } from './retire-versions.ts';
import { type ScoreResult, scoreRecommendations } from './score-recommendations.ts';
import { computeSimilarMovies } from './similar-movies.ts';
import { computeTrending } from './trending.ts';
import { type VerifiedVersion, type VerifyVersionInput, verifyVersion } from './verify-version.ts';

export type { PublishResult } from './publish-version.ts';
export type { RollbackResult as RestoredVersion } from './restore-version.ts';

export type PublishingActivities = ReturnType<typeof createPublishingActivities>;

/** What readers see: made in detached partitions, shown at once by the pointer, retired when newer ones are kept. */
export function createPublishingActivities(dependencies: ActivityDependencies) {
  return {
    scoreRecommendations: (input: RunReference): Promise<ScoreResult> =>
      withHeartbeat((heartbeat) => scoreRecommendations(dependencies, input, heartbeat)),
    computeSimilarMovies: (input: RunReference): Promise<StageResult> =>
      withHeartbeat((heartbeat) => computeSimilarMovies(dependencies, input, heartbeat)),
    computeTrending: (input: RunReference): Promise<StageResult> =>
      withHeartbeat((heartbeat) => computeTrending(dependencies, input, heartbeat)),
    computeMovieStats: (input: RunReference): Promise<StageResult> =>
      withHeartbeat((heartbeat) => computeMovieStats(dependencies, input, heartbeat)),
    publishVersion: (input: RunReference): Promise<PublishResult> =>
      withHeartbeat(({ signal }) => publishVersion(dependencies, input, signal)),
    retireVersions: (input: RunReference): Promise<RetireResult> =>
      withHeartbeat(({ signal }) => retireVersions(dependencies, input, signal)),
    /** Finds the version to roll back to and looks whether it can be served. */
    verifyVersion: (input: VerifyVersionInput): Promise<VerifiedVersion> =>
      withHeartbeat(({ signal }) => verifyVersion(dependencies.connection, input, signal)),
    /** Shows a verified version again, all at once. */
    restoreVersion: (input: RestoreVersionInput): Promise<RollbackResult> =>
      restoreVersion(dependencies.connection, input),
  };
}

import { withHeartbeat } from '../support/with-heartbeat.ts';
import type { ActivityDependencies } from '../support/run.ts';
import { type FoldInInput, type FoldInResult, foldInPass } from './fold-in.ts';
import {
  type UpdateStatisticsInput,
  type UpdateStatisticsResult,
  updateStatistics,
} from './update-statistics.ts';

export type { UpdateStatisticsResult } from './update-statistics.ts';

export type SpeedActivities = ReturnType<typeof createSpeedActivities>;

/** What has come since the last night, for readers to see before the next. */
export function createSpeedActivities(dependencies: ActivityDependencies) {
  return {
    /** Compares the source with what a night has read, and brings trending and movie statistics to the present. */
    updateStatistics: (input: UpdateStatisticsInput): Promise<UpdateStatisticsResult> =>
      withHeartbeat((heartbeat) => updateStatistics(dependencies, input, heartbeat)),
    /** Folds the users that a pass has found changed into the served version. */
    foldInPass: (input: FoldInInput): Promise<FoldInResult> =>
      withHeartbeat((heartbeat) => foldInPass(dependencies, input, heartbeat)),
  };
}

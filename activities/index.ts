import { createFeatureActivities } from './features/index.ts';
import { createIngestionActivities } from './ingestion/index.ts';
import { createMonitoringActivities } from './monitoring/index.ts';
import { createPublishingActivities } from './publishing/index.ts';
import { createQualityActivities } from './quality/index.ts';
import { createSelectionActivities } from './selection/index.ts';
import type { ActivityDependencies } from './support/run.ts';
import { createSpeedActivities } from './speed/index.ts';
import { createTrainingActivities } from './training/index.ts';

/** Every activity by the name that histories know it by. */
export function createActivities(dependencies: ActivityDependencies) {
  return {
    ...createMonitoringActivities(dependencies),
    ...createIngestionActivities(dependencies),
    ...createQualityActivities(dependencies),
    ...createFeatureActivities(dependencies),
    ...createTrainingActivities(dependencies),
    ...createSelectionActivities(dependencies),
    ...createPublishingActivities(dependencies),
    ...createSpeedActivities(dependencies),
  };
}

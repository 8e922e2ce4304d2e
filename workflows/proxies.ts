/** The activities as workflows call them: one proxy for each kind of work. */

import { proxyActivities } from '@temporalio/workflow';
import type { FeatureActivities } from '../activities/features/index.ts';
import type { IngestionActivities } from '../activities/ingestion/index.ts';
import type { MonitoringActivities } from '../activities/monitoring/index.ts';
import type { PublishingActivities } from '../activities/publishing/index.ts';
import type { QualityActivities } from '../activities/quality/index.ts';
import type { SelectionActivities } from '../activities/selection/index.ts';
import type { SpeedActivities } from '../activities/speed/index.ts';
import type { TrainingActivities } from '../activities/training/index.ts';
import {
  beginning,
  delivery,
  deliveryOnce,
  longSql,
  numeric,
  numericLast,
  quickSql,
  speedNumeric,
  speedSql,
} from './timeouts.ts';

export const { beginRun } = proxyActivities<MonitoringActivities>({
  ...beginning,
  summary: 'enter the run in the ledger',
});

export const { reopenRun, dropUndone } = proxyActivities<MonitoringActivities>({
  ...longSql,
  summary: 're-open a run',
});

export const { planNight } = proxyActivities<MonitoringActivities>({
  ...longSql,
  summary: 'what a night would do',
});

export const { finishRun, failRun } = proxyActivities<MonitoringActivities>({
  ...quickSql,
  summary: 'write the run log',
});

export const { reportRefusal, takeAlerts, raiseTestAlert, giveUpDelivery } =
  proxyActivities<MonitoringActivities>({ ...quickSql, summary: 'alerts' });

const deliveries = proxyActivities<MonitoringActivities>({ ...delivery, summary: 'deliver an alert' });
export const deliverAlert: MonitoringActivities['deliverAlert'] = (input) =>
  deliveries.deliverAlert.executeWithOptions({ summary: `alert ${input.alert} by ${input.channel}` }, [
    input,
  ]);
export const { deliverAlert: deliverAlertOnce } = proxyActivities<MonitoringActivities>({
  ...deliveryOnce,
  summary: 'deliver a test alert',
});

export const { closeLostRuns, findMissedNights, reviveDeliveries } = proxyActivities<MonitoringActivities>({
  ...quickSql,
  summary: 'watchdog',
});

export const { ingestBronze, buildSilver } = proxyActivities<IngestionActivities>({
  ...longSql,
  summary: 'source to snapshot',
});

const quality = proxyActivities<QualityActivities>({ ...longSql, summary: 'checks of the source' });
export const { checkSource } = quality;
export const runGate: QualityActivities['runGate'] = (input) =>
  quality.runGate.executeWithOptions({ summary: `${input.scope} gate` }, [input]);

export const { buildUserFeatures, buildMovieFeatures, buildUserGenrePreferences } =
  proxyActivities<FeatureActivities>({ ...longSql, summary: 'feature store' });

const training = proxyActivities<TrainingActivities>({ ...numeric, summary: 'train part and holdout' });
export const { splitHoldout } = training;
export const evaluateTwin: TrainingActivities['evaluateTwin'] = (input) => {
  const { family, ...parameters } = input.configuration;
  const rank = 'rank' in parameters ? ` rank ${parameters.rank}` : '';
  return training.evaluateTwin.executeWithOptions({ summary: `evaluation twin of ${family}${rank}` }, [
    input,
  ]);
};

export const { beginGridSearch, finishGridSearch } = proxyActivities<TrainingActivities>({
  ...quickSql,
  summary: 'grid search',
});
const grid = proxyActivities<TrainingActivities>({ ...numericLast, summary: 'grid point' });
export const evaluateGridPoint: TrainingActivities['evaluateGridPoint'] = (input) => {
  const { family, rank, regularization } = input.configuration;
  return grid.evaluateGridPoint.executeWithOptions(
    { summary: `grid point ${family} rank ${rank} reg ${regularization}` },
    [input],
  );
};

export const { beginAbTest } = proxyActivities<TrainingActivities>({ ...quickSql, summary: 'A/B test' });
const arms = proxyActivities<TrainingActivities>({ ...numericLast, summary: 'twin of an arm' });
export const evaluateArmTwin: TrainingActivities['evaluateArmTwin'] = (input) => {
  const { family, ...parameters } = input.configuration;
  const rank = 'rank' in parameters ? ` rank ${parameters.rank} seed ${parameters.seed}` : '';
  return arms.evaluateArmTwin.executeWithOptions({ summary: `evaluation twin of ${family}${rank}` }, [input]);
};

export const { refitModel } = proxyActivities<TrainingActivities>({
  ...numeric,
  summary: 'train the version to be served',
});

export const { compareArms, finishAbTest, selectModel, decideByOperator } =
  proxyActivities<SelectionActivities>({
    ...longSql,
    summary: 'compare and decide',
  });

export const { scoreRecommendations, computeSimilarMovies } = proxyActivities<PublishingActivities>({
  ...numeric,
  summary: 'score',
});

export const { computeTrending, computeMovieStats, retireVersions } = proxyActivities<PublishingActivities>({
  ...longSql,
  summary: 'serving tables',
});

export const { publishVersion, restoreVersion } = proxyActivities<PublishingActivities>({
  ...quickSql,
  summary: 'move the pointer',
});

export const { verifyVersion } = proxyActivities<PublishingActivities>({
  ...longSql,
  summary: 'look whether a version is whole',
});

export const { updateStatistics } = proxyActivities<SpeedActivities>({
  ...speedSql,
  summary: 'trending and statistics as of now',
});

export const { foldInPass } = proxyActivities<SpeedActivities>({
  ...speedNumeric,
  summary: 'fold users in',
});

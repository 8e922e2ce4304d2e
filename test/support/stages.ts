import { createActivities } from '../../activities/index.ts';
import type { Connection } from '../../database/connect.ts';
import { callActivity, closeRun, dependencies, insertRun } from './runs.ts';

/** Every activity, called as a worker would, but one by one and without a server. */
export function createStages(connection: Connection) {
  const activities = createActivities(dependencies(connection));
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [
      name,
      (input: unknown) => callActivity(activity as (input: unknown) => Promise<unknown>, input),
    ]),
  ) as typeof activities;
}

export type Stages = ReturnType<typeof createStages>;

/** A small source: enough for every stage, in a second or two for a whole night. */
export const SMALL = [
  'quality.minimumRatings=10',
  'recommendations.minimumRatings=2',
  'similar.minimumRatings=2',
  'trending.minimumRecentRatings=1',
  'selection.resamples=100',
  'alarm.rmseThreshold=10',
  'challengers=[{"family":"als","rank":3,"iterations":4,"regularization":0.1,"seed":42},{"family":"als","rank":4,"iterations":4,"regularization":0.1,"seed":42}]',
];

/** Bronze and silver of a run. */
export async function makeSnapshot(stages: Stages, run: number): Promise<void> {
  await stages.ingestBronze({ run });
  await stages.buildSilver({ run });
}

/** Everything that the decision is made from. */
export async function measureNight(stages: Stages, run: number): Promise<void> {
  await makeSnapshot(stages, run);
  await stages.buildUserFeatures({ run });
  await stages.buildMovieFeatures({ run });
  await stages.buildUserGenrePreferences({ run });
  await stages.splitHoldout({ run });
  await stages.evaluateTwin({ run, configuration: { family: 'popular' } });
  const arms = [3, 4].map((rank) => ({
    family: 'als' as const,
    rank,
    iterations: 4,
    regularization: 0.1,
    seed: 42,
  }));
  for (const configuration of arms) await stages.evaluateTwin({ run, configuration });
  await stages.compareArms({ run, arms });
}

/** Everything up to the decision. */
export async function evaluateNight(stages: Stages, run: number): Promise<void> {
  await measureNight(stages, run);
  await stages.selectModel({ run });
}

/** Everything that readers are to see, made but not yet shown. */
export async function prepareVersion(stages: Stages, run: number): Promise<void> {
  await stages.refitModel({ run });
  await stages.scoreRecommendations({ run });
  await stages.computeSimilarMovies({ run });
  await stages.computeMovieStats({ run });
  await stages.computeTrending({ run });
}

/** A whole night over a small source, published; returns its run. */
export async function publishNight(connection: Connection, asOf: string, overrides = SMALL): Promise<number> {
  const stages = createStages(connection);
  const run = await insertRun(connection, { asOf, overrides });
  await evaluateNight(stages, run);
  await stages.runGate({ run, scope: 'silver' });
  await prepareVersion(stages, run);
  await stages.runGate({ run, scope: 'publish' });
  await stages.publishVersion({ run });
  await stages.retireVersions({ run });
  await closeRun(connection, run);
  return run;
}

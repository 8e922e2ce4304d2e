import { patched, setWorkflowOptions } from '@temporalio/workflow';
import type { PublishResult } from '../activities/publishing/index.ts';
import type { RunRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { createStageBoard } from './support/stage-board.ts';

/** Makes everything that readers see from the run's model and snapshot, checks it, and shows it all at once. */
export async function publishRecommendations({ run }: RunRequest): Promise<PublishResult> {
  const board = createStageBoard();
  const lists = () => board.stage('recommendations', () => activities.scoreRecommendations({ run }));
  const neighbours = () => board.stage('similar movies', () => activities.computeSimilarMovies({ run }));
  const trending = () => board.stage('trending', () => activities.computeTrending({ run }));
  const statistics = () => board.stage('movie statistics', () => activities.computeMovieStats({ run }));
  if (patched('trending-of-statistics')) {
    // Trending is made of the statistics. Lists wait for them too: a scan of the snapshot beside their COPY would leave readers no
    // processor on a small machine, and neighbours have the engine meanwhile.
    await Promise.all([neighbours(), statistics().then(() => Promise.all([trending(), lists()]))]);
  } else {
    // A night that began all side by side goes on so: trending is tried again until the statistics are there.
    await Promise.all([lists(), neighbours(), trending(), statistics()]);
  }
  await board.stage('publish gate', () => activities.runGate({ run, scope: 'publish' }));
  return board.stage('pointer', () => activities.publishVersion({ run }));
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, publishRecommendations);

import { patched, setWorkflowOptions } from '@temporalio/workflow';
import type { PublishResult } from '../activities/publishing/index.ts';
import type { RunRequest } from './contracts.ts';
import * as activities from './proxies.ts';
import { createStageBoard } from './support/stage-board.ts';

/** Makes everything that readers see from the run's model and snapshot, checks it, and shows it all at once. */
export async function publishRecommendations({ run }: RunRequest): Promise<PublishResult> {
  const board = createStageBoard();
  const trending = () => board.stage('trending', () => activities.computeTrending({ run }));
  const statistics = () => board.stage('movie statistics', () => activities.computeMovieStats({ run }));
  // Trending is made of the statistics. A night that made them side by side goes on so: trending is tried again until they are there.
  const both = patched('trending-of-statistics')
    ? () => statistics().then(trending)
    : () => Promise.all([trending(), statistics()]);
  await Promise.all([
    board.stage('recommendations', () => activities.scoreRecommendations({ run })),
    board.stage('similar movies', () => activities.computeSimilarMovies({ run })),
    both(),
  ]);
  await board.stage('publish gate', () => activities.runGate({ run, scope: 'publish' }));
  return board.stage('pointer', () => activities.publishVersion({ run }));
}

setWorkflowOptions({ failureExceptionTypes: [Error] }, publishRecommendations);
